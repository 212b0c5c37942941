"""What the log's events and fields are called in Chinese and English."""

EVENTS: dict[str, tuple[str, str]] = {
    "job.run": ("[任务] 运行", "[job] run"),
    "ingest.run": ("[日线同步] 合计", "[daily sync] total"),
    "ingest.call": ("[日线同步] 请求", "[daily sync] call"),
    "ingest.judge": ("[日线同步] 质量检查", "[daily sync] judge"),
    "ingest.land": ("[日线同步] 入库", "[daily sync] land"),
    "ingest.day": ("[日线同步] 交易日", "[daily sync] trading day"),
    "ingest.batch": ("[日线同步] 批次", "[daily sync] batch"),
    "ingest.stock": ("[日线同步] 股票", "[daily sync] stock"),
    "factors.run": ("[复权因子] 合计", "[adjust factors] total"),
    "factors.land": ("[复权因子] 入库", "[adjust factors] land"),
    "fetch": ("[数据源] 取数", "[source] fetch"),
    "source.waiting": (
        "[数据源] 其他任务正在使用连接，等待中",
        "[source] another run uses the connection, waiting",
    ),
    "copy.fallback": ("[存储] COPY 失败，改用 INSERT", "[store] COPY failed, the rows go in by INSERT"),
    "load.not_new": ("[存储] 部分行已存在，改为比对", "[store] some rows are there already, comparing"),
    "layout.no_timescale": (
        "[存储] 无法启用 TimescaleDB，改用原生分区",
        "[store] no TimescaleDB, native partitions instead",
    ),
    "timescale.no_compression": ("[存储] TimescaleDB 无法压缩", "[store] TimescaleDB cannot compress"),
    "index.dropped": ("[索引] 装载期间暂时删除", "[index] dropped while loading"),
    "index.kept": ("[索引] 表被占用，保留索引", "[index] the table is in use, indexes stay"),
    "index.rebuilt": ("[索引] 已重建", "[index] built again"),
    "index.rebuild_failed": ("[索引] 重建失败", "[index] could not be built again"),
    "log.file_unavailable": ("[日志] 无法写入日志文件", "[log] the log file cannot be written"),
}
"""What an event is called: `[module] operation` in Chinese and English."""

FIELDS: dict[str, tuple[str, str]] = {
    "trade_date": ("交易日", "trade date"),
    "ts_code": ("代码", "code"),
    "dataset": ("数据集", "dataset"),
    "source": ("数据源", "source"),
    "api": ("接口", "api"),
    "index": ("索引", "index"),
    "table": ("表", "table"),
    "reason": ("原因", "reason"),
    "rows": ("行数", "rows"),
    "rows_expected": ("应有行数", "rows expected"),
    "rows_rejected": ("拒绝行数", "rows rejected"),
    "rows_written": ("写入行数", "rows written"),
    "inserted": ("新增", "inserted"),
    "updated": ("更新", "updated"),
    "unchanged": ("未变", "unchanged"),
    "first": ("起", "first"),
    "last": ("止", "last"),
    "days": ("天数", "days"),
    "days_worked": ("处理天数", "days worked on"),
    "call": ("请求", "call"),
    "stocks": ("股票数", "stocks"),
    "batch": ("批次", "batch"),
    "requests": ("请求数", "requests"),
    "verdict": ("结论", "verdict"),
    "status": ("状态", "status"),
    "cause": ("慢在", "slow at"),
    "failure": ("失败", "failure"),
    "problem": ("原因", "problem"),
    "at_most_seconds": ("至多", "at most"),
    "wait_seconds": ("连接池等待", "pool wait"),
    "pool_wait_seconds": ("连接池等待", "pool wait"),
    "api_seconds": ("API调用", "API"),
    "translate_seconds": ("清洗转换", "translation"),
    "judge_seconds": ("质量检查", "quality"),
    "database_seconds": ("入库", "database"),
}
"""What a field is called on the terminal; a field that is not listed is shown by its own name."""

CAUSES: dict[str, str] = {"pool wait": "连接池等待", "API": "API调用", "translation": "清洗转换", "database": "入库"}
"""Why a unit of work was slow, in Chinese."""
