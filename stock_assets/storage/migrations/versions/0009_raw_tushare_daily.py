"""Keep what Tushare says of a trading day: bars, factors, valuations and suspensions. Frozen, as every migration."""
# ruff: noqa: E501 - one column a line is what a reader of a migration looks for

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TEXT = sa.Text(collation="C")
_TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the raw tables."""
    op.create_table(
        "raw_tushare_daily",
        sa.Column("ts_code", _TEXT, nullable=False, comment="代码 | code, verbatim"),
        sa.Column("trade_date", _TEXT, nullable=False, comment="交易日 YYYYMMDD | trading day, verbatim"),
        sa.Column("open", _TEXT, nullable=True, comment="开盘价 | open, verbatim"),
        sa.Column("high", _TEXT, nullable=True, comment="最高价 | high, verbatim"),
        sa.Column("low", _TEXT, nullable=True, comment="最低价 | low, verbatim"),
        sa.Column("close", _TEXT, nullable=True, comment="收盘价 | close, verbatim"),
        sa.Column(
            "pre_close",
            _TEXT,
            nullable=True,
            comment="昨收价（除权价） | previous close, on ex-dates the reference price, verbatim",
        ),
        sa.Column("change", _TEXT, nullable=True, comment="涨跌额 | change in CNY, verbatim"),
        sa.Column("pct_chg", _TEXT, nullable=True, comment="涨跌幅 % | change in percent, verbatim"),
        sa.Column("vol", _TEXT, nullable=True, comment="成交量（手） | volume in lots of 100 shares, verbatim"),
        sa.Column("amount", _TEXT, nullable=True, comment="成交额（千元） | amount in thousands of CNY, verbatim"),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该应答的时间 | when this answer was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("ts_code", "trade_date", "fetched_at", name="pk_raw_tushare_daily"),
        comment="Tushare 日线原始应答：逐字保存，内容变化即为新版本；停牌日无行 | Tushare's daily bars as answered: verbatim text, a changed answer is a new version; no row on a suspended day",
    )
    op.create_index("ix_raw_tushare_daily_trade_date_ts_code", "raw_tushare_daily", ["trade_date", "ts_code"])
    op.create_table(
        "raw_tushare_adj_factor",
        sa.Column("ts_code", _TEXT, nullable=False, comment="代码 | code, verbatim"),
        sa.Column("trade_date", _TEXT, nullable=False, comment="交易日 YYYYMMDD | trading day, verbatim"),
        sa.Column("adj_factor", _TEXT, nullable=True, comment="复权因子 | back-adjustment factor, verbatim"),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该应答的时间 | when this answer was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("ts_code", "trade_date", "fetched_at", name="pk_raw_tushare_adj_factor"),
        comment="Tushare 复权因子原始应答：每个交易日一行，逐字保存，内容变化即为新版本 | Tushare's adjustment factors as answered: one row a session, verbatim text, a changed answer is a new version",
    )
    op.create_index("ix_raw_tushare_adj_factor_trade_date_ts_code", "raw_tushare_adj_factor", ["trade_date", "ts_code"])
    op.create_table(
        "raw_tushare_daily_basic",
        sa.Column("ts_code", _TEXT, nullable=False, comment="代码 | code, verbatim"),
        sa.Column("trade_date", _TEXT, nullable=False, comment="交易日 YYYYMMDD | trading day, verbatim"),
        sa.Column("close", _TEXT, nullable=True, comment="当日收盘价 | close, verbatim"),
        sa.Column("turnover_rate", _TEXT, nullable=True, comment="换手率 % | turnover in percent, verbatim"),
        sa.Column(
            "turnover_rate_f",
            _TEXT,
            nullable=True,
            comment="换手率（自由流通股） % | turnover of free float in percent, verbatim",
        ),
        sa.Column("volume_ratio", _TEXT, nullable=True, comment="量比 | volume ratio, verbatim"),
        sa.Column("pe", _TEXT, nullable=True, comment="市盈率，亏损为空 | P/E, none for a loss, verbatim"),
        sa.Column("pe_ttm", _TEXT, nullable=True, comment="滚动市盈率，亏损为空 | P/E TTM, none for a loss, verbatim"),
        sa.Column("pb", _TEXT, nullable=True, comment="市净率 | P/B, verbatim"),
        sa.Column("ps", _TEXT, nullable=True, comment="市销率 | P/S, verbatim"),
        sa.Column("ps_ttm", _TEXT, nullable=True, comment="滚动市销率 | P/S TTM, verbatim"),
        sa.Column("dv_ratio", _TEXT, nullable=True, comment="股息率 % | dividend yield in percent, verbatim"),
        sa.Column("dv_ttm", _TEXT, nullable=True, comment="滚动股息率 % | dividend yield TTM in percent, verbatim"),
        sa.Column("total_share", _TEXT, nullable=True, comment="总股本（万股） | shares in ten thousands, verbatim"),
        sa.Column(
            "float_share", _TEXT, nullable=True, comment="流通股本（万股） | floating shares in ten thousands, verbatim"
        ),
        sa.Column(
            "free_share", _TEXT, nullable=True, comment="自由流通股本（万股） | free float in ten thousands, verbatim"
        ),
        sa.Column(
            "total_mv", _TEXT, nullable=True, comment="总市值（万元） | market value in ten thousands of CNY, verbatim"
        ),
        sa.Column(
            "circ_mv",
            _TEXT,
            nullable=True,
            comment="流通市值（万元） | floating market value in ten thousands of CNY, verbatim",
        ),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该应答的时间 | when this answer was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("ts_code", "trade_date", "fetched_at", name="pk_raw_tushare_daily_basic"),
        comment="Tushare 每日指标原始应答：逐字保存，内容变化即为新版本 | Tushare's daily_basic as answered: verbatim text, a changed answer is a new version",
    )
    op.create_index(
        "ix_raw_tushare_daily_basic_trade_date_ts_code", "raw_tushare_daily_basic", ["trade_date", "ts_code"]
    )
    op.create_table(
        "raw_tushare_suspend",
        sa.Column("ts_code", _TEXT, nullable=False, comment="代码 | code, verbatim"),
        sa.Column("trade_date", _TEXT, nullable=False, comment="交易日 YYYYMMDD | trading day, verbatim"),
        sa.Column(
            "suspend_type", _TEXT, nullable=False, comment="S=停牌 R=复牌 | S = suspended, R = trading again, verbatim"
        ),
        sa.Column(
            "suspend_timing",
            _TEXT,
            nullable=False,
            comment="日内停牌时段；空文本 = 全天 | hours of the suspension; an empty text = the whole session, verbatim",
        ),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该应答的时间 | when this answer was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint(
            "ts_code", "trade_date", "suspend_type", "suspend_timing", "fetched_at", name="pk_raw_tushare_suspend"
        ),
        comment="Tushare 停复牌原始应答：逐字保存，内容变化即为新版本 | Tushare's suspend_d as answered: verbatim text, a changed answer is a new version",
    )
    op.create_index("ix_raw_tushare_suspend_trade_date_ts_code", "raw_tushare_suspend", ["trade_date", "ts_code"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("raw_tushare_suspend")
    op.drop_table("raw_tushare_daily_basic")
    op.drop_table("raw_tushare_adj_factor")
    op.drop_table("raw_tushare_daily")
