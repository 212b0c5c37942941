"""Keep every version: rows of stock_daily and adjust_factor that are replaced or deleted go into history tables.

The database does it itself, whoever writes; `stock_daily_as_of` and `adjust_factor_as_of` read the store as it was known
at a moment. Frozen, as every migration.
"""
# ruff: noqa: E501 - one column a line is what a reader of a migration looks for

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXT = sa.Text(collation="C")
_DATE = sa.Date()
_FLOAT: sa.Double[float] = sa.Double()
_INTEGER = sa.BigInteger()
_BOOLEAN = sa.Boolean()
_TIMESTAMP = sa.DateTime(timezone=True)

_BAR = """ts_code, trade_date, open, high, low, close, pre_close, volume, amount, turnover_rate, pct_chg, is_suspended, is_st,
    pe_ttm, pb_mrq, ps_ttm, pcf_ncf_ttm, source"""
_FACTOR = "ts_code, ex_date, back_adjust_factor, source"
# A clock that stands still, or goes back, must not make two versions of one moment, not even when a row was deleted and
# came again. A change by hand, outside of any run,
# that forgets updated_at happens now.
_KEEP = """
    CREATE FUNCTION keep_{table}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $body$
    DECLARE
        run text := nullif(current_setting('stock_assets.run_id', true), '');
        start timestamptz := greatest(OLD.updated_at, (
            SELECT max(valid_to) FROM {table}_history AS kept WHERE kept.ts_code = OLD.ts_code AND kept.{day} = OLD.{day}
        ));
        after timestamptz := start + interval '1 microsecond';
    BEGIN
        IF TG_OP = 'DELETE' THEN
            after := greatest(clock_timestamp(), after);
        ELSIF NEW IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        ELSIF NEW.updated_at > start THEN
            after := NEW.updated_at;
        ELSIF run IS NULL THEN
            after := greatest(clock_timestamp(), after);
        END IF;
        INSERT INTO {table}_history ({columns}, valid_from, valid_to, run_id)
        VALUES ({old_columns}, start, after, run);
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        NEW.updated_at := after;
        RETURN NEW;
    END
    $body$
"""
_TRIGGER = """
    CREATE TRIGGER keep_{table} BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION keep_{table}()
"""
# Plain SQL, so that the planner sees through it and conditions reach the indexes.
_AS_OF = """
    CREATE FUNCTION {table}_as_of(moment timestamptz) RETURNS SETOF {table} LANGUAGE sql STABLE PARALLEL SAFE AS $body$
        SELECT {columns}, updated_at FROM {table} WHERE updated_at <= moment
        UNION ALL
        SELECT {columns}, valid_from FROM {table}_history WHERE valid_from <= moment AND moment < valid_to
    $body$
"""
_COMMENT = """
    COMMENT ON FUNCTION {table}_as_of(timestamptz) IS '{table} 在该时刻的样子 | {table} as the store knew it at that moment'
"""
_VERSIONED = (("stock_daily", "trade_date", _BAR), ("adjust_factor", "ex_date", _FACTOR))


def upgrade() -> None:
    """Create the history tables, what fills them, and what reads them."""
    op.create_table(
        "stock_daily_history",
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
            "valid_from",
            _TIMESTAMP,
            nullable=False,
            comment="自此刻起存储中是这些值 | from then on the store held these values",
        ),
        sa.Column(
            "valid_to",
            _TIMESTAMP,
            nullable=False,
            comment="到此刻被替换或删除 | until then, when they were replaced or deleted",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="替换它的运行编号 | run that replaced the row"),
        sa.PrimaryKeyConstraint("ts_code", "trade_date", "valid_from", name="pk_stock_daily_history"),
        sa.CheckConstraint("amount >= 0 AND amount < 'Infinity'", name=op.f("ck_stock_daily_history_amount_range")),
        sa.CheckConstraint("close >= 0 AND close < 'Infinity'", name=op.f("ck_stock_daily_history_close_range")),
        sa.CheckConstraint("high >= 0 AND high < 'Infinity'", name=op.f("ck_stock_daily_history_high_range")),
        sa.CheckConstraint("low >= 0 AND low < 'Infinity'", name=op.f("ck_stock_daily_history_low_range")),
        sa.CheckConstraint("open >= 0 AND open < 'Infinity'", name=op.f("ck_stock_daily_history_open_range")),
        sa.CheckConstraint(
            "pb_mrq > '-Infinity' AND pb_mrq < 'Infinity'", name=op.f("ck_stock_daily_history_pb_mrq_range")
        ),
        sa.CheckConstraint(
            "pcf_ncf_ttm > '-Infinity' AND pcf_ncf_ttm < 'Infinity'",
            name=op.f("ck_stock_daily_history_pcf_ncf_ttm_range"),
        ),
        sa.CheckConstraint(
            "pct_chg > '-Infinity' AND pct_chg < 'Infinity'", name=op.f("ck_stock_daily_history_pct_chg_range")
        ),
        sa.CheckConstraint(
            "pe_ttm > '-Infinity' AND pe_ttm < 'Infinity'", name=op.f("ck_stock_daily_history_pe_ttm_range")
        ),
        sa.CheckConstraint(
            "pre_close >= 0 AND pre_close < 'Infinity'", name=op.f("ck_stock_daily_history_pre_close_range")
        ),
        sa.CheckConstraint(
            "ps_ttm > '-Infinity' AND ps_ttm < 'Infinity'", name=op.f("ck_stock_daily_history_ps_ttm_range")
        ),
        sa.CheckConstraint(
            "turnover_rate >= 0 AND turnover_rate < 'Infinity'", name=op.f("ck_stock_daily_history_turnover_rate_range")
        ),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("ck_stock_daily_history_valid_from_before_to")),
        sa.CheckConstraint("volume >= 0", name=op.f("ck_stock_daily_history_volume_range")),
        comment="stock_daily 中被更正或删除的旧行，由数据库自动保存 | Rows of stock_daily as they were before a correction or deletion, kept by the database itself",
    )
    op.create_index("ix_stock_daily_history_trade_date_ts_code", "stock_daily_history", ["trade_date", "ts_code"])
    op.create_table(
        "adjust_factor_history",
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
            "valid_from",
            _TIMESTAMP,
            nullable=False,
            comment="自此刻起存储中是这些值 | from then on the store held these values",
        ),
        sa.Column(
            "valid_to",
            _TIMESTAMP,
            nullable=False,
            comment="到此刻被替换或删除 | until then, when they were replaced or deleted",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="替换它的运行编号 | run that replaced the row"),
        sa.PrimaryKeyConstraint("ts_code", "ex_date", "valid_from", name="pk_adjust_factor_history"),
        sa.CheckConstraint(
            "back_adjust_factor >= 0 AND back_adjust_factor < 'Infinity'",
            name=op.f("ck_adjust_factor_history_back_adjust_factor_range"),
        ),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("ck_adjust_factor_history_valid_from_before_to")),
        comment="adjust_factor 中被更正或删除的旧行，由数据库自动保存 | Rows of adjust_factor as they were before a correction or deletion, kept by the database itself",
    )
    op.create_index("ix_adjust_factor_history_ex_date_ts_code", "adjust_factor_history", ["ex_date", "ts_code"])
    for table, day, columns in _VERSIONED:
        old_columns = ", ".join(f"OLD.{name.strip()}" for name in columns.split(","))
        op.execute(_KEEP.format(table=table, day=day, columns=columns, old_columns=old_columns))
        op.execute(_TRIGGER.format(table=table))
        op.execute(_AS_OF.format(table=table, columns=columns))
        op.execute(_COMMENT.format(table=table))


def downgrade() -> None:
    """Drop them; the current rows stay."""
    for table, _, _ in _VERSIONED:
        op.execute(f"DROP FUNCTION {table}_as_of(timestamptz)")
        op.execute(f"DROP TRIGGER keep_{table} ON {table}")
        op.execute(f"DROP FUNCTION keep_{table}()")
        op.drop_table(f"{table}_history")
