"""The contract of the table that says which snapshots of a trading day there are, and where their files lie."""

from typing import Final

from stock_assets.domain.contract import Column, Table

CACHE_SNAPSHOT: Final = Table(
    "cache_snapshot",
    "每日快照：每个交易日的每个版本一行，内容在文件中",
    "Daily snapshots: one row for every version of a trading day's snapshot, whose content is in a file",
    (
        Column("trade_date", "date", "交易日", "trading day"),
        Column(
            "snapshot_id",
            "text",
            "快照编号：输入内容、列与代码版本的摘要",
            "digest of the inputs' content, the columns and the code version",
        ),
        Column("is_current", "boolean", "是否为该日当前的快照", "whether it is the day's snapshot now"),
        Column("digest", "text", "文件内容的 SHA-256", "SHA-256 of the file"),
        Column("bytes", "integer", "文件大小", "size of the file", "bytes", False, 1),
        Column("rows", "integer", "行数：当日上市的证券", "rows: the stocks listed on the day", "rows", False, 0),
        Column("path", "text", "文件，相对于快照目录", "the file, relative to the folder of snapshots"),
        Column("inputs", "text", "各项输入的摘要（JSON）", "digest of each input, JSON"),
        Column("reason", "text", "为何产生这个版本", "why there is this version"),
        Column("code_version", "text", "生成代码的版本", "version of the code that made it"),
        Column("created_at", "timestamp", "发布时间", "when it was published"),
        Column("run_id", "text", "写入该行的运行编号", "run that wrote the row", nullable=True),
    ),
    ("trade_date", "snapshot_id"),
    indexes=(("snapshot_id",),),
)
