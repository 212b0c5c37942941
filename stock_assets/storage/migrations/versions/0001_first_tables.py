"""Create the tables of the first release.

Frozen: once released, a change of a table is a new migration, never an edit of this one.
"""
# ruff: noqa: E501 - one column a line is what a reader of a migration looks for

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.Text(collation="C")
_DATE = sa.Date()
_FLOAT: sa.Double[float] = sa.Double()
_INTEGER = sa.BigInteger()
_BOOLEAN = sa.Boolean()
_TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create every table with its rules, comments and indexes."""
    op.create_table(
        "trading_day",
        sa.Column("trade_date", _DATE, nullable=False, comment="自然日 | calendar day"),
        sa.Column(
            "is_open",
            _BOOLEAN,
            nullable=False,
            comment="是否开市（以交易所日历为准） | whether the exchanges trade (exchange calendar)",
        ),
        sa.Column("previous_open", _DATE, nullable=True, comment="上一交易日 | last trading day before"),
        sa.Column("source_is_open", _BOOLEAN, nullable=True, comment="数据源认为是否开市 | what the source says"),
        sa.Column(
            "sources_agree",
            _BOOLEAN,
            nullable=True,
            comment="两者是否一致；数据源未答时为空 | both say the same; null when unasked",
        ),
        sa.Column("source", _TEXT, nullable=False, comment="数据来源 | who said it"),
        sa.Column(
            "updated_at", _TIMESTAMP, nullable=False, comment="最近一次内容变化的时间 | when the content last changed"
        ),
        sa.PrimaryKeyConstraint("trade_date", name="pk_trading_day"),
        sa.CheckConstraint("previous_open < trade_date", name=op.f("ck_trading_day_previous_open_earlier")),
        sa.CheckConstraint(
            "sources_agree IS NOT DISTINCT FROM (is_open = source_is_open)",
            name=op.f("ck_trading_day_sources_agree_means_same"),
        ),
        comment="交易日历：每个自然日一行 | Trading calendar: one row per calendar day",
    )
    op.create_table(
        "security",
        sa.Column("ts_code", _TEXT, nullable=False, comment="证券代码，如 600000.SH | security code such as 600000.SH"),
        sa.Column("name", _TEXT, nullable=True, comment="证券简称 | short name"),
        sa.Column("exchange", _TEXT, nullable=False, comment="交易所 | exchange"),
        sa.Column("board", _TEXT, nullable=False, comment="板块 | board"),
        sa.Column("list_date", _DATE, nullable=False, comment="上市日 | first trading day"),
        sa.Column(
            "delist_date", _DATE, nullable=True, comment="退市日（当日起不再交易） | from this day on not traded"
        ),
        sa.Column("status", _TEXT, nullable=False, comment="上市状态 | listing status"),
        sa.Column(
            "former_codes", _TEXT, nullable=True, comment="曾用代码，逗号分隔 | codes it had before, comma separated"
        ),
        sa.Column("source", _TEXT, nullable=False, comment="数据来源 | who said it"),
        sa.Column(
            "updated_at", _TIMESTAMP, nullable=False, comment="最近一次内容变化的时间 | when the content last changed"
        ),
        sa.PrimaryKeyConstraint("ts_code", name="pk_security"),
        sa.CheckConstraint("exchange IN ('SH', 'SZ', 'BJ')", name=op.f("ck_security_exchange_choice")),
        sa.CheckConstraint(
            "board IN ('main', 'chinext', 'star', 'bse', 'b_share')", name=op.f("ck_security_board_choice")
        ),
        sa.CheckConstraint("status IN ('listed', 'delisted')", name=op.f("ck_security_status_choice")),
        sa.CheckConstraint("ts_code ~ '^[0-9]{6}[.](SH|SZ|BJ)$'", name=op.f("ck_security_ts_code_form")),
        sa.CheckConstraint("exchange = substr(ts_code, 8)", name=op.f("ck_security_exchange_of_code")),
        sa.CheckConstraint("delist_date >= list_date", name=op.f("ck_security_delist_not_before_list")),
        comment="证券清单：含已退市的全部 A 股股票 | Securities: every A-share stock, delisted ones included",
    )
    op.create_table(
        "raw_baostock_daily",
        sa.Column("date", _TEXT, nullable=False, comment="日期 | day, verbatim"),
        sa.Column("code", _TEXT, nullable=False, comment="代码 | code, verbatim"),
        sa.Column("open", _TEXT, nullable=True, comment="开盘价 | open, verbatim"),
        sa.Column("high", _TEXT, nullable=True, comment="最高价 | high, verbatim"),
        sa.Column("low", _TEXT, nullable=True, comment="最低价 | low, verbatim"),
        sa.Column("close", _TEXT, nullable=True, comment="收盘价 | close, verbatim"),
        sa.Column("preclose", _TEXT, nullable=True, comment="前收盘价 | previous close, verbatim"),
        sa.Column("volume", _TEXT, nullable=True, comment="成交量（股） | volume in shares, verbatim"),
        sa.Column("amount", _TEXT, nullable=True, comment="成交额（元） | amount in CNY, verbatim"),
        sa.Column("adjustflag", _TEXT, nullable=True, comment="复权状态 3=不复权 | adjustment, 3 = none, verbatim"),
        sa.Column("turn", _TEXT, nullable=True, comment="换手率 % | turnover in percent, verbatim"),
        sa.Column("tradestatus", _TEXT, nullable=True, comment="1=交易 0=停牌 | 1 = traded, 0 = suspended, verbatim"),
        sa.Column("pctChg", _TEXT, nullable=True, comment="涨跌幅 % | change in percent, verbatim"),
        sa.Column("peTTM", _TEXT, nullable=True, comment="滚动市盈率 | P/E TTM, verbatim"),
        sa.Column("pbMRQ", _TEXT, nullable=True, comment="市净率 | P/B MRQ, verbatim"),
        sa.Column("psTTM", _TEXT, nullable=True, comment="滚动市销率 | P/S TTM, verbatim"),
        sa.Column("pcfNcfTTM", _TEXT, nullable=True, comment="滚动市现率 | P/CF TTM, verbatim"),
        sa.Column("isST", _TEXT, nullable=True, comment="1=ST | 1 = ST, verbatim"),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该应答的时间 | when this answer was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("code", "date", "fetched_at", name="pk_raw_baostock_daily"),
        comment="BaoStock 日线原始应答：逐字保存，内容变化即为新版本 | BaoStock's daily bars as answered: verbatim text, a changed answer is a new version",
    )
    op.create_index("ix_raw_baostock_daily_date_code", "raw_baostock_daily", ["date", "code"])
    op.create_table(
        "raw_baostock_adjust_factor",
        sa.Column("code", _TEXT, nullable=False, comment="代码 | code, verbatim"),
        sa.Column("dividOperateDate", _TEXT, nullable=False, comment="除权除息日 | ex-date, verbatim"),
        sa.Column("foreAdjustFactor", _TEXT, nullable=True, comment="前复权因子 | forward factor, verbatim"),
        sa.Column("backAdjustFactor", _TEXT, nullable=True, comment="后复权因子 | backward factor, verbatim"),
        sa.Column("adjustFactor", _TEXT, nullable=True, comment="本次复权因子 | factor, verbatim"),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该应答的时间 | when this answer was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("code", "dividOperateDate", "fetched_at", name="pk_raw_baostock_adjust_factor"),
        comment="BaoStock 复权因子原始应答：逐字保存，内容变化即为新版本 | BaoStock's adjustment factors as answered: verbatim text, a changed answer is a new version",
    )
    op.create_index(
        "ix_raw_baostock_adjust_factor_dividOperateDate_code",
        "raw_baostock_adjust_factor",
        ["dividOperateDate", "code"],
    )
    op.create_table(
        "stock_daily",
        sa.Column("ts_code", _TEXT, nullable=False, comment="证券代码，如 600000.SH | security code such as 600000.SH"),
        sa.Column("trade_date", _DATE, nullable=False, comment="交易日 | trading day"),
        sa.Column("open", _FLOAT, nullable=True, comment="开盘价 | open [CNY]"),
        sa.Column("high", _FLOAT, nullable=True, comment="最高价 | high [CNY]"),
        sa.Column("low", _FLOAT, nullable=True, comment="最低价 | low [CNY]"),
        sa.Column("close", _FLOAT, nullable=False, comment="收盘价 | close [CNY]"),
        sa.Column(
            "pre_close",
            _FLOAT,
            nullable=True,
            comment="前收盘价；除权除息日为除权参考价 | previous close; on ex-dates the exchange's reference price [CNY]",
        ),
        sa.Column(
            "volume",
            _INTEGER,
            nullable=True,
            comment="成交量；停牌日可能为空 | volume; may be null when suspended [shares]",
        ),
        sa.Column(
            "amount",
            _FLOAT,
            nullable=True,
            comment="成交额；停牌日可能为空 | turnover value; may be null when suspended [CNY]",
        ),
        sa.Column("turnover_rate", _FLOAT, nullable=True, comment="换手率 | volume / floating shares [%]"),
        sa.Column("pct_chg", _FLOAT, nullable=True, comment="涨跌幅，相对前收盘价 | change against pre_close [%]"),
        sa.Column("is_suspended", _BOOLEAN, nullable=False, comment="当日是否停牌 | suspended for the whole day"),
        sa.Column("is_st", _BOOLEAN, nullable=False, comment="当日是否为 ST | under special treatment on the day"),
        sa.Column("pe_ttm", _FLOAT, nullable=True, comment="滚动市盈率 | price / earnings, trailing 12 months [ratio]"),
        sa.Column(
            "pb_mrq", _FLOAT, nullable=True, comment="市净率（最近报告期） | price / book, most recent quarter [ratio]"
        ),
        sa.Column("ps_ttm", _FLOAT, nullable=True, comment="滚动市销率 | price / sales, trailing 12 months [ratio]"),
        sa.Column(
            "pcf_ncf_ttm",
            _FLOAT,
            nullable=True,
            comment="滚动市现率 | price / net cash flow, trailing 12 months [ratio]",
        ),
        sa.Column("source", _TEXT, nullable=False, comment="数据来源 | who said it"),
        sa.Column(
            "updated_at", _TIMESTAMP, nullable=False, comment="最近一次内容变化的时间 | when the content last changed"
        ),
        sa.PrimaryKeyConstraint("ts_code", "trade_date", name="pk_stock_daily"),
        sa.CheckConstraint("open >= 0 AND open < 'Infinity'", name=op.f("ck_stock_daily_open_range")),
        sa.CheckConstraint("high >= 0 AND high < 'Infinity'", name=op.f("ck_stock_daily_high_range")),
        sa.CheckConstraint("low >= 0 AND low < 'Infinity'", name=op.f("ck_stock_daily_low_range")),
        sa.CheckConstraint("close >= 0 AND close < 'Infinity'", name=op.f("ck_stock_daily_close_range")),
        sa.CheckConstraint("pre_close >= 0 AND pre_close < 'Infinity'", name=op.f("ck_stock_daily_pre_close_range")),
        sa.CheckConstraint("volume >= 0", name=op.f("ck_stock_daily_volume_range")),
        sa.CheckConstraint("amount >= 0 AND amount < 'Infinity'", name=op.f("ck_stock_daily_amount_range")),
        sa.CheckConstraint(
            "turnover_rate >= 0 AND turnover_rate < 'Infinity'", name=op.f("ck_stock_daily_turnover_rate_range")
        ),
        sa.CheckConstraint("pct_chg > '-Infinity' AND pct_chg < 'Infinity'", name=op.f("ck_stock_daily_pct_chg_range")),
        sa.CheckConstraint("pe_ttm > '-Infinity' AND pe_ttm < 'Infinity'", name=op.f("ck_stock_daily_pe_ttm_range")),
        sa.CheckConstraint("pb_mrq > '-Infinity' AND pb_mrq < 'Infinity'", name=op.f("ck_stock_daily_pb_mrq_range")),
        sa.CheckConstraint("ps_ttm > '-Infinity' AND ps_ttm < 'Infinity'", name=op.f("ck_stock_daily_ps_ttm_range")),
        sa.CheckConstraint(
            "pcf_ncf_ttm > '-Infinity' AND pcf_ncf_ttm < 'Infinity'", name=op.f("ck_stock_daily_pcf_ncf_ttm_range")
        ),
        sa.CheckConstraint("ts_code ~ '^[0-9]{6}[.](SH|SZ|BJ)$'", name=op.f("ck_stock_daily_ts_code_form")),
        sa.CheckConstraint("trade_date >= '1990-12-19'", name=op.f("ck_stock_daily_trade_date_first_session")),
        sa.CheckConstraint("high >= low", name=op.f("ck_stock_daily_high_not_below_low")),
        sa.CheckConstraint("high >= GREATEST(open, close)", name=op.f("ck_stock_daily_high_is_highest")),
        sa.CheckConstraint("low <= LEAST(open, close)", name=op.f("ck_stock_daily_low_is_lowest")),
        comment="日线行情：不复权价格，停牌日也有一行 | Daily bars: unadjusted prices; a suspended day is a row too",
    )
    op.create_index("ix_stock_daily_trade_date_ts_code", "stock_daily", ["trade_date", "ts_code"])
    op.create_table(
        "adjust_factor",
        sa.Column("ts_code", _TEXT, nullable=False, comment="证券代码，如 600000.SH | security code such as 600000.SH"),
        sa.Column("ex_date", _DATE, nullable=False, comment="除权除息日 | ex-date"),
        sa.Column(
            "back_adjust_factor",
            _FLOAT,
            nullable=False,
            comment="后复权因子：后复权价 = 不复权价 × 因子 | back-adjusted price = raw price x factor [ratio]",
        ),
        sa.Column("source", _TEXT, nullable=False, comment="数据来源 | who said it"),
        sa.Column(
            "updated_at", _TIMESTAMP, nullable=False, comment="最近一次内容变化的时间 | when the content last changed"
        ),
        sa.PrimaryKeyConstraint("ts_code", "ex_date", name="pk_adjust_factor"),
        sa.CheckConstraint(
            "back_adjust_factor >= 0 AND back_adjust_factor < 'Infinity'",
            name=op.f("ck_adjust_factor_back_adjust_factor_range"),
        ),
        sa.CheckConstraint("ts_code ~ '^[0-9]{6}[.](SH|SZ|BJ)$'", name=op.f("ck_adjust_factor_ts_code_form")),
        sa.CheckConstraint("back_adjust_factor > 0", name=op.f("ck_adjust_factor_back_adjust_factor_positive")),
        comment="复权因子：自除权除息日起有效，直到下一次 | Adjustment factors: valid from the ex-date until the next one",
    )
    op.create_index("ix_adjust_factor_ex_date_ts_code", "adjust_factor", ["ex_date", "ts_code"])
    op.create_table(
        "load_ledger",
        sa.Column("dataset", _TEXT, nullable=False, comment="数据集（业务表名） | dataset, the business table's name"),
        sa.Column("trade_date", _DATE, nullable=False, comment="交易日 | trading day"),
        sa.Column(
            "status",
            _TEXT,
            nullable=False,
            comment="complete 完整 / empty 证实为空 / partial 不完整 / refused 未取得 | state; only complete and empty close a gap",
        ),
        sa.Column("rows_expected", _INTEGER, nullable=True, comment="应有行数 | rows that should be there [rows]"),
        sa.Column("rows_present", _INTEGER, nullable=False, comment="实有行数 | rows that are there [rows]"),
        sa.Column("rows_rejected", _INTEGER, nullable=False, comment="被拒绝行数 | rows that quality refused [rows]"),
        sa.Column("source", _TEXT, nullable=False, comment="数据来源 | who said it"),
        sa.Column("digest", _TEXT, nullable=True, comment="当日业务行内容摘要 | digest of the day's business rows"),
        sa.Column("detail", _TEXT, nullable=True, comment="不完整或未取得的原因 | why it is not complete"),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.Column("started_at", _TIMESTAMP, nullable=False, comment="开始取数时间 | when fetching began"),
        sa.Column("finished_at", _TIMESTAMP, nullable=False, comment="提交时间 | when it was committed"),
        sa.PrimaryKeyConstraint("dataset", "trade_date", name="pk_load_ledger"),
        sa.CheckConstraint(
            "status IN ('complete', 'empty', 'partial', 'refused')", name=op.f("ck_load_ledger_status_choice")
        ),
        sa.CheckConstraint("rows_expected >= 0", name=op.f("ck_load_ledger_rows_expected_range")),
        sa.CheckConstraint("rows_present >= 0", name=op.f("ck_load_ledger_rows_present_range")),
        sa.CheckConstraint("rows_rejected >= 0", name=op.f("ck_load_ledger_rows_rejected_range")),
        sa.CheckConstraint("status <> 'empty' OR rows_present = 0", name=op.f("ck_load_ledger_empty_has_no_rows")),
        sa.CheckConstraint(
            "status <> 'complete' OR rows_present >= rows_expected", name=op.f("ck_load_ledger_complete_misses_no_row")
        ),
        sa.CheckConstraint(
            "status IN ('complete', 'empty') OR detail IS NOT NULL", name=op.f("ck_load_ledger_open_gap_has_reason")
        ),
        comment="装载台账：每个数据集每个交易日一行，与数据在同一事务写入 | What is loaded: one row per dataset and trading day, written in the transaction of its rows",
    )
    op.create_index("ix_load_ledger_trade_date", "load_ledger", ["trade_date"])
    op.create_table(
        "rejected_row",
        sa.Column(
            "id",
            _INTEGER,
            sa.Identity(always=True),
            nullable=False,
            comment="数据库生成的行号 | row number given by the database",
        ),
        sa.Column("dataset", _TEXT, nullable=False, comment="数据集 | dataset"),
        sa.Column("trade_date", _DATE, nullable=False, comment="交易日 | trading day"),
        sa.Column(
            "ts_code", _TEXT, nullable=True, comment="证券代码（能识别时） | security code where it could be read"
        ),
        sa.Column("rule", _TEXT, nullable=False, comment="违反的规则 | the rule it broke"),
        sa.Column("row_digest", _TEXT, nullable=False, comment="原始行摘要 | digest of the row"),
        sa.Column("row_text", _TEXT, nullable=False, comment="原始行（JSON） | the row as answered, JSON"),
        sa.Column("source", _TEXT, nullable=False, comment="数据来源 | who said it"),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.Column("rejected_at", _TIMESTAMP, nullable=False, comment="拒绝时间 | when it was refused"),
        sa.Column(
            "resolved_at",
            _TIMESTAMP,
            nullable=True,
            comment="此后的应答不再含该行的时间 | when a later answer no longer held it",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rejected_row"),
        sa.UniqueConstraint(
            "dataset", "trade_date", "rule", "row_digest", name="uq_rejected_row_dataset_trade_date_rule_row_digest"
        ),
        comment="被质量规则拒绝的行 | Rows that a quality rule refused",
    )
    op.create_table(
        "quality_finding",
        sa.Column("dataset", _TEXT, nullable=False, comment="数据集 | dataset"),
        sa.Column("trade_date", _DATE, nullable=False, comment="交易日 | trading day"),
        sa.Column("ts_code", _TEXT, nullable=False, comment="证券代码，如 600000.SH | security code such as 600000.SH"),
        sa.Column("rule", _TEXT, nullable=False, comment="规则 | rule"),
        sa.Column("severity", _TEXT, nullable=False, comment="级别 | severity"),
        sa.Column("detail", _TEXT, nullable=False, comment="说明 | what was seen"),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.Column("found_at", _TIMESTAMP, nullable=False, comment="发现时间 | when it was found"),
        sa.PrimaryKeyConstraint("dataset", "trade_date", "ts_code", "rule", name="pk_quality_finding"),
        sa.CheckConstraint("severity IN ('info', 'warning')", name=op.f("ck_quality_finding_severity_choice")),
        comment="质量发现：已入库但值得注意的行 | Findings: rows that were stored and deserve a look",
    )
    op.create_index("ix_quality_finding_rule_trade_date", "quality_finding", ["rule", "trade_date"])
    op.create_table(
        "source_quota",
        sa.Column("source", _TEXT, nullable=False, comment="数据来源 | who said it"),
        sa.Column("api", _TEXT, nullable=False, comment="接口名；* 为合计 | api; * is the total"),
        sa.Column("day", _DATE, nullable=False, comment="北京时间日期 | Shanghai day"),
        sa.Column("requests", _INTEGER, nullable=False, comment="已发送请求数 | requests sent [requests]"),
        sa.Column("refusals", _INTEGER, nullable=False, comment="被拒绝次数 | refusals [requests]"),
        sa.Column("banned_until", _TIMESTAMP, nullable=True, comment="黑名单解除时间 | end of a ban"),
        sa.Column(
            "updated_at", _TIMESTAMP, nullable=False, comment="最近一次内容变化的时间 | when the content last changed"
        ),
        sa.PrimaryKeyConstraint("source", "api", "day", name="pk_source_quota"),
        sa.CheckConstraint("requests >= 0", name=op.f("ck_source_quota_requests_range")),
        sa.CheckConstraint("refusals >= 0", name=op.f("ck_source_quota_refusals_range")),
        comment="请求配额台账：按数据源、接口、北京时间日期计数 | Requests used, by source, api and Shanghai day",
    )


def downgrade() -> None:
    """Drop every table."""
    op.drop_table("source_quota")
    op.drop_table("quality_finding")
    op.drop_table("rejected_row")
    op.drop_table("load_ledger")
    op.drop_table("adjust_factor")
    op.drop_table("stock_daily")
    op.drop_table("raw_baostock_adjust_factor")
    op.drop_table("raw_baostock_daily")
    op.drop_table("security")
    op.drop_table("trading_day")
