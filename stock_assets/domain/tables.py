"""The tables of the market and of our own bookkeeping, each with its contract; `storage.tables` is the list of all."""

from datetime import date

from stock_assets.domain.contract import Column, Table

_TS_CODE = Column("ts_code", "text", "证券代码，如 600000.SH", "security code such as 600000.SH")
_TRADE_DATE = Column("trade_date", "date", "交易日", "trading day")
_SOURCE = Column("source", "text", "数据来源", "who said it")
_RUN_ID = Column("run_id", "text", "写入该行的运行编号", "run that wrote the row", nullable=True)
_UPDATED_AT = Column("updated_at", "timestamp", "最近一次内容变化的时间", "when the content last changed")
_FETCHED_AT = Column("fetched_at", "timestamp", "首次收到该应答的时间", "when this answer was first received")
_VALIDITY = (
    Column("valid_from", "timestamp", "自此刻起存储中是这些值", "from then on the store held these values"),
    Column("valid_to", "timestamp", "到此刻被替换或删除", "until then, when they were replaced or deleted"),
    Column("run_id", "text", "替换它的运行编号", "run that replaced the row", nullable=True),
)


def _price(name: str, zh: str, en: str, *, nullable: bool = True) -> Column:
    return Column(name, "float", zh, en, unit="CNY", nullable=nullable, minimum=0.0)


TRADING_DAY = Table(
    "trading_day",
    "交易日历：每个自然日一行",
    "Trading calendar: one row per calendar day",
    (
        Column("trade_date", "date", "自然日", "calendar day"),
        Column("is_open", "boolean", "是否开市（以交易所日历为准）", "whether the exchanges trade (exchange calendar)"),
        Column("previous_open", "date", "上一交易日", "last trading day before", nullable=True),
        Column("source_is_open", "boolean", "数据源认为是否开市", "what the source says", nullable=True),
        Column(
            "sources_agree",
            "boolean",
            "两者是否一致；数据源未答时为空",
            "both say the same; null when unasked",
            nullable=True,
        ),
        _SOURCE,
        _UPDATED_AT,
    ),
    ("trade_date",),
)

SECURITY = Table(
    "security",
    "证券清单：含已退市的全部 A 股股票",
    "Securities: every A-share stock, delisted ones included",
    (
        _TS_CODE,
        Column("name", "text", "证券简称", "short name", nullable=True),
        Column("exchange", "text", "交易所", "exchange", choices=("SH", "SZ", "BJ")),
        Column("board", "text", "板块", "board", choices=("main", "chinext", "star", "bse", "b_share")),
        Column("list_date", "date", "上市日；换过代码的证券，为该代码启用日", "first trading day under this code"),
        Column("delist_date", "date", "退市日（当日起不再交易）", "from this day on not traded", nullable=True),
        Column("status", "text", "上市状态", "listing status", choices=("listed", "delisted")),
        Column("former_codes", "text", "曾用代码，逗号分隔", "codes it had before, comma separated", nullable=True),
        _SOURCE,
        _UPDATED_AT,
    ),
    ("ts_code",),
)

_RAW_DAILY = {
    "date": "日期 | day",
    "code": "代码 | code",
    "open": "开盘价 | open",
    "high": "最高价 | high",
    "low": "最低价 | low",
    "close": "收盘价 | close",
    "preclose": "前收盘价 | previous close",
    "volume": "成交量（股） | volume in shares",
    "amount": "成交额（元） | amount in CNY",
    "adjustflag": "复权状态 3=不复权 | adjustment, 3 = none",
    "turn": "换手率 % | turnover in percent",
    "tradestatus": "1=交易 0=停牌 | 1 = traded, 0 = suspended",
    "pctChg": "涨跌幅 % | change in percent",
    "peTTM": "滚动市盈率 | P/E TTM",
    "pbMRQ": "市净率 | P/B MRQ",
    "psTTM": "滚动市销率 | P/S TTM",
    "pcfNcfTTM": "滚动市现率 | P/CF TTM",
    "isST": "1=ST | 1 = ST",
}
_RAW_FACTOR = {
    "code": "代码 | code",
    "dividOperateDate": "除权除息日 | ex-date",
    "foreAdjustFactor": "前复权因子 | forward factor",
    "backAdjustFactor": "后复权因子 | backward factor",
    "adjustFactor": "本次复权因子 | factor",
}
_OF_DAY = {"ts_code": "代码 | code", "trade_date": "交易日 YYYYMMDD | trading day"}
_TUSHARE_DAILY = {
    **_OF_DAY,
    "open": "开盘价 | open",
    "high": "最高价 | high",
    "low": "最低价 | low",
    "close": "收盘价 | close",
    "pre_close": "昨收价（除权价） | previous close, on ex-dates the reference price",
    "change": "涨跌额 | change in CNY",
    "pct_chg": "涨跌幅 % | change in percent",
    "vol": "成交量（手） | volume in lots of 100 shares",
    "amount": "成交额（千元） | amount in thousands of CNY",
}
_TUSHARE_FACTOR = {**_OF_DAY, "adj_factor": "复权因子 | back-adjustment factor"}
_TUSHARE_BASIC = {
    **_OF_DAY,
    "close": "当日收盘价 | close",
    "turnover_rate": "换手率 % | turnover in percent",
    "turnover_rate_f": "换手率（自由流通股） % | turnover of free float in percent",
    "volume_ratio": "量比 | volume ratio",
    "pe": "市盈率，亏损为空 | P/E, none for a loss",
    "pe_ttm": "滚动市盈率，亏损为空 | P/E TTM, none for a loss",
    "pb": "市净率 | P/B",
    "ps": "市销率 | P/S",
    "ps_ttm": "滚动市销率 | P/S TTM",
    "dv_ratio": "股息率 % | dividend yield in percent",
    "dv_ttm": "滚动股息率 % | dividend yield TTM in percent",
    "total_share": "总股本（万股） | shares in ten thousands",
    "float_share": "流通股本（万股） | floating shares in ten thousands",
    "free_share": "自由流通股本（万股） | free float in ten thousands",
    "total_mv": "总市值（万元） | market value in ten thousands of CNY",
    "circ_mv": "流通市值（万元） | floating market value in ten thousands of CNY",
}
_TUSHARE_SUSPEND = {
    **_OF_DAY,
    "suspend_type": "S=停牌 R=复牌 | S = suspended, R = trading again",
    "suspend_timing": "日内停牌时段；空文本 = 全天 | hours of the suspension; an empty text = the whole session",
}


def _raw(names: dict[str, str], key: tuple[str, ...]) -> tuple[Column, ...]:
    columns: list[Column] = []
    for name, meaning in names.items():
        zh, _, en = meaning.partition(" | ")
        columns.append(Column(name, "text", zh, f"{en}, verbatim", nullable=name not in key))
    return (*columns, _FETCHED_AT, _RUN_ID)


RAW_BAOSTOCK_DAILY = Table(
    "raw_baostock_daily",
    "BaoStock 日线原始应答：逐字保存，内容变化即为新版本",
    "BaoStock's daily bars as answered: verbatim text, a changed answer is a new version",
    _raw(_RAW_DAILY, ("code", "date")),
    ("code", "date", "fetched_at"),
    indexes=(("date", "code"),),
)
RAW_BAOSTOCK_ADJUST_FACTOR = Table(
    "raw_baostock_adjust_factor",
    "BaoStock 复权因子原始应答：逐字保存，内容变化即为新版本",
    "BaoStock's adjustment factors as answered: verbatim text, a changed answer is a new version",
    _raw(_RAW_FACTOR, ("code", "dividOperateDate")),
    ("code", "dividOperateDate", "fetched_at"),
    indexes=(("dividOperateDate", "code"),),
)
RAW_TUSHARE_DAILY = Table(
    "raw_tushare_daily",
    "Tushare 日线原始应答：逐字保存，内容变化即为新版本；停牌日无行",
    "Tushare's daily bars as answered: verbatim text, a changed answer is a new version; no row on a suspended day",
    _raw(_TUSHARE_DAILY, ("ts_code", "trade_date")),
    ("ts_code", "trade_date", "fetched_at"),
    indexes=(("trade_date", "ts_code"),),
)
RAW_TUSHARE_ADJ_FACTOR = Table(
    "raw_tushare_adj_factor",
    "Tushare 复权因子原始应答：每个交易日一行，逐字保存，内容变化即为新版本",
    "Tushare's adjustment factors as answered: one row a session, verbatim text, a changed answer is a new version",
    _raw(_TUSHARE_FACTOR, ("ts_code", "trade_date")),
    ("ts_code", "trade_date", "fetched_at"),
    indexes=(("trade_date", "ts_code"),),
)
RAW_TUSHARE_DAILY_BASIC = Table(
    "raw_tushare_daily_basic",
    "Tushare 每日指标原始应答：逐字保存，内容变化即为新版本",
    "Tushare's daily_basic as answered: verbatim text, a changed answer is a new version",
    _raw(_TUSHARE_BASIC, ("ts_code", "trade_date")),
    ("ts_code", "trade_date", "fetched_at"),
    indexes=(("trade_date", "ts_code"),),
)
RAW_TUSHARE_SUSPEND = Table(
    "raw_tushare_suspend",
    "Tushare 停复牌原始应答：逐字保存，内容变化即为新版本",
    "Tushare's suspend_d as answered: verbatim text, a changed answer is a new version",
    _raw(_TUSHARE_SUSPEND, tuple(_TUSHARE_SUSPEND)),
    (*_TUSHARE_SUSPEND, "fetched_at"),
    indexes=(("trade_date", "ts_code"),),
)

STOCK_DAILY = Table(
    "stock_daily",
    "日线行情：不复权价格，停牌日也有一行",
    "Daily bars: unadjusted prices; a suspended day is a row too",
    (
        _TS_CODE,
        _TRADE_DATE,
        _price("open", "开盘价", "open"),
        _price("high", "最高价", "high"),
        _price("low", "最低价", "low"),
        _price("close", "收盘价", "close", nullable=False),
        _price(
            "pre_close",
            "前收盘价；除权除息日为除权参考价",
            "previous close; on ex-dates the exchange's reference price",
        ),
        Column("volume", "integer", "成交量；停牌日可能为空", "volume; may be null when suspended", "shares", True, 0),
        Column(
            "amount", "float", "成交额；停牌日可能为空", "turnover value; may be null when suspended", "CNY", True, 0.0
        ),
        Column("turnover_rate", "float", "换手率", "volume / floating shares", "%", True, 0.0),
        Column("pct_chg", "float", "涨跌幅，相对前收盘价", "change against pre_close", "%", True),
        Column("is_suspended", "boolean", "当日是否停牌", "suspended for the whole day"),
        Column("is_st", "boolean", "当日是否为 ST", "under special treatment on the day"),
        Column("pe_ttm", "float", "滚动市盈率", "price / earnings, trailing 12 months", "ratio", True),
        Column("pb_mrq", "float", "市净率（最近报告期）", "price / book, most recent quarter", "ratio", True),
        Column("ps_ttm", "float", "滚动市销率", "price / sales, trailing 12 months", "ratio", True),
        Column("pcf_ncf_ttm", "float", "滚动市现率", "price / net cash flow, trailing 12 months", "ratio", True),
        _SOURCE,
        _UPDATED_AT,
    ),
    ("ts_code", "trade_date"),
    indexes=(("trade_date", "ts_code"),),
)

ADJUST_FACTOR = Table(
    "adjust_factor",
    "复权因子：自除权除息日起有效，直到下一次",
    "Adjustment factors: valid from the ex-date until the next one",
    (
        _TS_CODE,
        Column("ex_date", "date", "除权除息日", "ex-date"),
        Column(
            "back_adjust_factor",
            "float",
            "后复权因子：后复权价 = 不复权价 × 因子",
            "back-adjusted price = raw price x factor",
            "ratio",
            False,
            0.0,
        ),
        _SOURCE,
        _UPDATED_AT,
    ),
    ("ts_code", "ex_date"),
    indexes=(("ex_date", "ts_code"),),
)


def _history(table: Table) -> Table:
    columns = (*(column for column in table.columns if column is not _UPDATED_AT), *_VALIDITY)
    return Table(
        f"{table.name}_history",
        f"{table.name} 中被更正或删除的旧行，由数据库自动保存",
        f"Rows of {table.name} as they were before a correction or deletion, kept by the database itself",
        columns,
        (*table.key, "valid_from"),
        table.indexes,
    )


STOCK_DAILY_HISTORY = _history(STOCK_DAILY)
ADJUST_FACTOR_HISTORY = _history(ADJUST_FACTOR)

LOAD_LEDGER = Table(
    "load_ledger",
    "装载台账：每个数据集每个交易日一行，与数据在同一事务写入",
    "What is loaded: one row per dataset and trading day, written in the transaction of its rows",
    (
        Column("dataset", "text", "数据集（业务表名）", "dataset, the business table's name"),
        _TRADE_DATE,
        Column(
            "status",
            "text",
            "complete 完整 / empty 证实为空 / partial 不完整 / refused 未取得",
            "state; only complete and empty close a gap",
            choices=("complete", "empty", "partial", "refused"),
        ),
        Column("rows_expected", "integer", "应有行数", "rows that should be there", "rows", True, 0),
        Column("rows_present", "integer", "实有行数", "rows that are there", "rows", False, 0),
        Column("rows_rejected", "integer", "被拒绝行数", "rows that quality refused", "rows", False, 0),
        _SOURCE,
        Column("digest", "text", "当日业务行内容摘要", "digest of the day's business rows", nullable=True),
        Column("detail", "text", "不完整或未取得的原因", "why it is not complete", nullable=True),
        _RUN_ID,
        Column("started_at", "timestamp", "开始取数时间", "when fetching began"),
        Column("finished_at", "timestamp", "提交时间", "when it was committed"),
    ),
    ("dataset", "trade_date"),
    indexes=(("trade_date",),),
)

REJECTED_ROW = Table(
    "rejected_row",
    "被质量规则拒绝的行",
    "Rows that a quality rule refused",
    (
        Column("dataset", "text", "数据集", "dataset"),
        _TRADE_DATE,
        Column("ts_code", "text", "证券代码（能识别时）", "security code where it could be read", nullable=True),
        Column("rule", "text", "违反的规则", "the rule it broke"),
        Column("row_digest", "text", "原始行摘要", "digest of the row"),
        Column("row_text", "text", "原始行（JSON）", "the row as answered, JSON"),
        _SOURCE,
        _RUN_ID,
        Column("rejected_at", "timestamp", "拒绝时间", "when it was refused"),
        Column(
            "resolved_at",
            "timestamp",
            "此后的应答不再含该行的时间",
            "when a later answer no longer held it",
            nullable=True,
        ),
    ),
    ("dataset", "trade_date", "rule", "row_digest"),
    surrogate=True,
)

QUALITY_FINDING = Table(
    "quality_finding",
    "质量发现：已入库但值得注意的行",
    "Findings: rows that were stored and deserve a look",
    (
        Column("dataset", "text", "数据集", "dataset"),
        _TRADE_DATE,
        _TS_CODE,
        Column("rule", "text", "规则", "rule"),
        Column("severity", "text", "级别", "severity", choices=("info", "warning", "error")),
        Column("detail", "text", "说明", "what was seen"),
        _RUN_ID,
        Column("found_at", "timestamp", "发现时间", "when it was found"),
    ),
    ("dataset", "trade_date", "ts_code", "rule"),
    indexes=(("rule", "trade_date"),),
)

SOURCE_QUOTA = Table(
    "source_quota",
    "请求配额台账：按数据源、接口、北京时间日期计数",
    "Requests used, by source, api and Shanghai day",
    (
        _SOURCE,
        Column("api", "text", "接口名；* 为合计", "api; * is the total"),
        Column("day", "date", "北京时间日期", "Shanghai day"),
        Column("requests", "integer", "已发送请求数", "requests sent", "requests", False, 0),
        Column("refusals", "integer", "被拒绝次数", "refusals", "requests", False, 0),
        Column("banned_until", "timestamp", "黑名单解除时间", "end of a ban", nullable=True),
        _UPDATED_AT,
    ),
    ("source", "api", "day"),
)

DROPPED_INDEX = Table(
    "dropped_index",
    "整体装载期间暂时删除的索引；平时为空，残留的会在下次装载开始时重建",
    "Indexes dropped while a whole table is loaded; empty otherwise, what is left is built again when the next load starts",
    (
        Column("index_name", "text", "索引名", "index"),
        Column("table_name", "text", "所属表", "table it belongs to"),
        Column("definition", "text", "重建语句", "statement that builds it"),
        _RUN_ID,
        Column("dropped_at", "timestamp", "删除时间", "when it was dropped"),
        Column("problem", "text", "最近一次重建失败的原因", "why it could not be built last time", nullable=True),
    ),
    ("index_name",),
)

RATE_STATE = Table(
    "rate_state",
    "请求节奏：每个接口一行，所有进程共用",
    "Pace of requests: one row per interface, shared by all processes",
    (
        _SOURCE,
        Column("api", "text", "接口名", "interface"),
        Column("next_at", "timestamp", "下一次请求的最早时间", "earliest moment of the next call"),
        Column(
            "interval_seconds",
            "float",
            "放慢后的请求间隔；空 = 按设置",
            "spacing while slowed; null = the settings'",
            "s",
            True,
            0.0,
        ),
        Column("closed_until", "timestamp", "此前不再请求", "no call before this moment", nullable=True),
        Column(
            "closed_reason",
            "text",
            "关闭原因",
            "why it is closed",
            nullable=True,
            choices=("minute", "hour", "day", "permission"),
        ),
        Column(
            "learned_limit",
            "integer",
            "由拒绝得知的每分钟上限",
            "most calls a minute, as its refusals showed",
            "calls",
            True,
            1,
        ),
        Column("refused_at", "timestamp", "最近一次得知上限的时间", "when that was learned", nullable=True),
        _UPDATED_AT,
    ),
    ("source", "api"),
)

_JOB_TYPE = Column(
    "job_type",
    "text",
    "任务类型",
    "type of job",
    choices=("DAILY_HISTORY", "FINANCE_HISTORY", "DAILY_INCREMENTAL", "FINANCE_INCREMENTAL"),
)

SYNC_TASKS = Table(
    "sync_tasks",
    "同步任务：进度与其数据在同一事务写入，中断后由此继续",
    "Synchronization tasks: progress is written in the transaction of its data, and gone on from",
    (
        _JOB_TYPE,
        Column(
            "status",
            "text",
            "状态；无进程持有的 RUNNING 会被接着运行",
            "state; RUNNING without a living process is gone on with",
            choices=("PENDING", "RUNNING", "COMPLETED", "FAILED", "PAUSED"),
        ),
        Column("current_offset", "integer", "已完成的项数", "items done", "items", False, 0),
        Column("total_items", "integer", "总项数（最近一次清点）", "items in all, when last counted", "items", True, 0),
        Column("batch_size", "integer", "每批项数", "items per batch", "items", False, 1),
        Column("total_processed", "integer", "已写入行数", "rows written", "rows", False, 0),
        Column("attempts", "integer", "启动次数", "times it was started", "times", False, 0),
        Column("started_at", "timestamp", "首次启动时间", "when it was first started"),
        Column("updated_at", "timestamp", "最近一次进展的时间", "when it last moved"),
        Column("completed_at", "timestamp", "完成时间", "when it was complete", nullable=True),
        Column("error_message", "text", "停止或失败的原因", "why it stopped", nullable=True),
        Column("config", "text", "任务参数（JSON）", "what it was made for, JSON"),
    ),
    (),
    surrogate=True,
)

SYNC_FAILURE_RECORDS = Table(
    "sync_failure_records",
    "同步失败记录：每次同步先重试未解决的，超过次数则等人处理",
    "Failures of synchronizations: open ones are tried first, and after enough retries wait for a person",
    (
        _JOB_TYPE,
        Column("third_code", "text", "失败项：证券代码、日期等", "what failed: a code, a day …"),
        Column("error_message", "text", "失败原因", "why it failed"),
        Column("retry_count", "integer", "已重试次数", "failed retries", "times", False, 0),
        Column("max_retries", "integer", "自动重试上限", "retries before a person is needed", "times", False, 0),
        Column("last_attempt_at", "timestamp", "最近一次尝试的时间", "when it was last tried"),
        Column("resolved_at", "timestamp", "解决时间", "when it was done", nullable=True),
    ),
    (),
    surrogate=True,
)


def day_text(column: str, day: date) -> str:
    """Return a day as a raw table's column of this name holds it: `trade_date` as Tushare writes it, others as ISO."""
    return f"{day:%Y%m%d}" if column == _TRADE_DATE.name else day.isoformat()
