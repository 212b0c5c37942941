"""The contract of the table that says which gaps a source was asked for and could not fill."""

from typing import Final

from stock_assets.domain.contract import Column, Table

ASKED_GAP: Final = Table(
    "asked_gap",
    "问过而没有的行：数据源完整应答了该日（或该证券），其中没有这一行；行到达时即删除",
    "Gaps that were asked for: a source answered wholly for the day or the stock and had no such row; gone once the row lands",
    (
        Column("dataset", "text", "数据集（业务表名）", "dataset, the business table's name"),
        Column("ts_code", "text", "证券代码，如 600000.SH", "security code such as 600000.SH"),
        Column("trade_date", "date", "交易日", "trading day"),
        Column("source", "text", "被问的数据源", "who was asked"),
        Column(
            "asked_days",
            "integer",
            "问过的天数（北京时间）；两天起视为该源确实没有",
            "on how many days it was asked, Shanghai time; from two on the source is taken to have none",
            "days",
            False,
            1,
        ),
        Column("first_asked_on", "date", "首次询问日", "when it was first asked"),
        Column("last_asked_on", "date", "最近一次询问日", "when it was last asked"),
        Column("ask_again_at", "timestamp", "此刻之前不再自动询问", "not asked again by itself before"),
    ),
    ("dataset", "ts_code", "trade_date", "source"),
    indexes=(("dataset", "trade_date"),),
)
