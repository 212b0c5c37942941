"""Keep technical indicators, and show them forward-adjusted. Frozen, as every migration.

Native partitions on every server: a hypertable holds rows packed, and these floats must come back bit by bit.
"""
# ruff: noqa: E501 - one column a line is what a reader of a migration looks for

import sqlalchemy as sa
from alembic import op

from stock_assets.storage.layout import convert

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TEXT = sa.Text(collation="C")
_FLOAT: sa.Double[float] = sa.Double()
_INTEGER = sa.BigInteger()
_BOOLEAN = sa.Boolean()

# The view's columns: those that are divided by the latest factor, and those that stay, in the table's order.
_SHOWN = (
    "ma_5", "ma_10", "ma_20", "ma_30", "ma_60", "ma_120", "ma_250", "ema_5", "ema_10", "ema_20", "ema_30",
    "ema_60", "ema_120", "ema_250", "ema_12", "ema_26", "dif", "dea", "macd", "kdj_k", "kdj_d", "kdj_j",
    "rsi_6", "rsi_12", "rsi_24", "boll_upper", "boll_mid", "boll_lower", "true_range", "atr_14", "cci_14",
    "wr_10", "wr_6", "bias_6", "bias_12", "bias_24", "dmi_pdi", "dmi_mdi", "dmi_adx", "dmi_adxr", "obv",
    "roc_12", "mtm_12", "psy_12", "vr_26", "trix_12", "volume_ma_5", "volume_ma_10", "volume_ma_20",
    "volume_ma_60", "volume_ratio", "high_20", "low_20", "high_60", "low_60", "high_250", "low_250",
    "up_days", "down_days", "bar_number", "limit_up_price", "limit_down_price", "is_limit_up",
    "is_limit_down",
)  # fmt: skip
_PRICES = (
    "ma_5", "ma_10", "ma_20", "ma_30", "ma_60", "ma_120", "ma_250", "ema_5", "ema_10", "ema_20", "ema_30",
    "ema_60", "ema_120", "ema_250", "ema_12", "ema_26", "dif", "dea", "macd", "boll_upper", "boll_mid",
    "boll_lower", "true_range", "atr_14", "mtm_12", "high_20", "low_20", "high_60", "low_60", "high_250",
    "low_250",
)  # fmt: skip
_VIEW = """
    CREATE VIEW technical_daily_qfq AS SELECT stored.ts_code, stored.trade_date, {columns}
    FROM technical_daily AS stored LEFT JOIN LATERAL (
        SELECT back_adjust_factor FROM adjust_factor WHERE adjust_factor.ts_code = stored.ts_code
        ORDER BY ex_date DESC LIMIT 1
    ) AS latest ON true
"""
_VIEW_COMMENT = (
    "技术指标，价格类为前复权（基准：该股票最新的复权因子） | "
    "Technical indicators, prices forward-adjusted to each stock's latest factor"
)
_COMMENTS = """
    DO $body$
    DECLARE
        name text;
        words text;
    BEGIN
        FOR name, words IN
            SELECT shown.attname, replace(col_description(stored.attrelid, stored.attnum), 'back-adjusted', 'forward-adjusted')
            FROM pg_attribute AS shown JOIN pg_attribute AS stored USING (attname)
            WHERE shown.attrelid = 'technical_daily_qfq'::regclass AND stored.attrelid = 'technical_daily'::regclass
              AND shown.attnum > 0
        LOOP
            EXECUTE format('COMMENT ON COLUMN technical_daily_qfq.%I IS %L', name, words);
        END LOOP;
    END
    $body$
"""


def upgrade() -> None:
    """Create the table and the view."""
    op.create_table(
        "technical_daily",
        sa.Column("ts_code", _TEXT, nullable=False, comment="证券代码，如 600000.SH | security code such as 600000.SH"),
        sa.Column("trade_date", sa.Date(), nullable=False, comment="交易日 | trading day"),
        sa.Column(
            "ma_5", _FLOAT, nullable=True, comment="5 日均线 | simple moving average of 5 sessions [CNY, back-adjusted]"
        ),
        sa.Column(
            "ma_10",
            _FLOAT,
            nullable=True,
            comment="10 日均线 | simple moving average of 10 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ma_20",
            _FLOAT,
            nullable=True,
            comment="20 日均线 | simple moving average of 20 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ma_30",
            _FLOAT,
            nullable=True,
            comment="30 日均线 | simple moving average of 30 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ma_60",
            _FLOAT,
            nullable=True,
            comment="60 日均线 | simple moving average of 60 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ma_120",
            _FLOAT,
            nullable=True,
            comment="120 日均线 | simple moving average of 120 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ma_250",
            _FLOAT,
            nullable=True,
            comment="250 日均线 | simple moving average of 250 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ema_5",
            _FLOAT,
            nullable=True,
            comment="5 日指数均线 | exponential moving average of 5 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ema_10",
            _FLOAT,
            nullable=True,
            comment="10 日指数均线 | exponential moving average of 10 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ema_20",
            _FLOAT,
            nullable=True,
            comment="20 日指数均线 | exponential moving average of 20 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ema_30",
            _FLOAT,
            nullable=True,
            comment="30 日指数均线 | exponential moving average of 30 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ema_60",
            _FLOAT,
            nullable=True,
            comment="60 日指数均线 | exponential moving average of 60 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ema_120",
            _FLOAT,
            nullable=True,
            comment="120 日指数均线 | exponential moving average of 120 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ema_250",
            _FLOAT,
            nullable=True,
            comment="250 日指数均线 | exponential moving average of 250 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ema_12",
            _FLOAT,
            nullable=True,
            comment="12 日指数均线 | exponential moving average of 12 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "ema_26",
            _FLOAT,
            nullable=True,
            comment="26 日指数均线 | exponential moving average of 26 sessions [CNY, back-adjusted]",
        ),
        sa.Column("dif", _FLOAT, nullable=True, comment="MACD 快线 | difference of both averages [CNY, back-adjusted]"),
        sa.Column("dea", _FLOAT, nullable=True, comment="MACD 慢线 | signal line [CNY, back-adjusted]"),
        sa.Column(
            "macd",
            _FLOAT,
            nullable=True,
            comment="MACD 柱 | bar, twice the difference of both lines [CNY, back-adjusted]",
        ),
        sa.Column("kdj_k", _FLOAT, nullable=True, comment="K 值 | K"),
        sa.Column("kdj_d", _FLOAT, nullable=True, comment="D 值 | D"),
        sa.Column("kdj_j", _FLOAT, nullable=True, comment="J 值 | J"),
        sa.Column("rsi_6", _FLOAT, nullable=True, comment="6 日 RSI | relative strength index of 6 sessions"),
        sa.Column("rsi_12", _FLOAT, nullable=True, comment="12 日 RSI | relative strength index of 12 sessions"),
        sa.Column("rsi_24", _FLOAT, nullable=True, comment="24 日 RSI | relative strength index of 24 sessions"),
        sa.Column(
            "rsi_gain_6", _FLOAT, nullable=True, comment="6 日平均涨幅 | mean gain behind rsi_6 [CNY, back-adjusted]"
        ),
        sa.Column(
            "rsi_gain_12", _FLOAT, nullable=True, comment="12 日平均涨幅 | mean gain behind rsi_12 [CNY, back-adjusted]"
        ),
        sa.Column(
            "rsi_gain_24", _FLOAT, nullable=True, comment="24 日平均涨幅 | mean gain behind rsi_24 [CNY, back-adjusted]"
        ),
        sa.Column(
            "rsi_move_6", _FLOAT, nullable=True, comment="6 日平均变动 | mean move behind rsi_6 [CNY, back-adjusted]"
        ),
        sa.Column(
            "rsi_move_12", _FLOAT, nullable=True, comment="12 日平均变动 | mean move behind rsi_12 [CNY, back-adjusted]"
        ),
        sa.Column(
            "rsi_move_24", _FLOAT, nullable=True, comment="24 日平均变动 | mean move behind rsi_24 [CNY, back-adjusted]"
        ),
        sa.Column("boll_upper", _FLOAT, nullable=True, comment="布林上轨 | upper band [CNY, back-adjusted]"),
        sa.Column("boll_mid", _FLOAT, nullable=True, comment="布林中轨 | middle band [CNY, back-adjusted]"),
        sa.Column("boll_lower", _FLOAT, nullable=True, comment="布林下轨 | lower band [CNY, back-adjusted]"),
        sa.Column("true_range", _FLOAT, nullable=True, comment="真实波幅 | true range [CNY, back-adjusted]"),
        sa.Column(
            "atr_14",
            _FLOAT,
            nullable=True,
            comment="14 日平均真实波幅 | mean true range of 14 sessions [CNY, back-adjusted]",
        ),
        sa.Column("cci_14", _FLOAT, nullable=True, comment="14 日 CCI | commodity channel index"),
        sa.Column(
            "wr_10", _FLOAT, nullable=True, comment="10 日威廉指标 | Williams %R of 10 sessions, 0 = at the high"
        ),
        sa.Column("wr_6", _FLOAT, nullable=True, comment="6 日威廉指标 | Williams %R of 6 sessions, 0 = at the high"),
        sa.Column(
            "bias_6",
            _FLOAT,
            nullable=True,
            comment="6 日乖离率 | distance of the close from its mean of 6 sessions [%]",
        ),
        sa.Column(
            "bias_12",
            _FLOAT,
            nullable=True,
            comment="12 日乖离率 | distance of the close from its mean of 12 sessions [%]",
        ),
        sa.Column(
            "bias_24",
            _FLOAT,
            nullable=True,
            comment="24 日乖离率 | distance of the close from its mean of 24 sessions [%]",
        ),
        sa.Column("dmi_pdi", _FLOAT, nullable=True, comment="上升动向 PDI | positive direction"),
        sa.Column("dmi_mdi", _FLOAT, nullable=True, comment="下降动向 MDI | negative direction"),
        sa.Column("dmi_adx", _FLOAT, nullable=True, comment="平均动向 ADX | mean directional index"),
        sa.Column(
            "dmi_adxr", _FLOAT, nullable=True, comment="平均动向 ADXR | mean of ADX and the one 6 sessions before"
        ),
        sa.Column(
            "obv",
            _FLOAT,
            nullable=True,
            comment="能量潮：上涨日加、下跌日减成交量 | volume of rising days less that of falling days [shares]",
        ),
        sa.Column("roc_12", _FLOAT, nullable=True, comment="12 日变动率 | rate of change over 12 sessions [%]"),
        sa.Column("mtm_12", _FLOAT, nullable=True, comment="12 日动量 | change over 12 sessions [CNY, back-adjusted]"),
        sa.Column(
            "psy_12", _FLOAT, nullable=True, comment="12 日心理线：上涨日占比 | share of rising sessions among 12 [%]"
        ),
        sa.Column(
            "vr_26", _FLOAT, nullable=True, comment="26 日容量比率 | volume of rising sessions against falling ones"
        ),
        sa.Column("trix_12", _FLOAT, nullable=True, comment="三重指数平滑变动率 | change of the triple average [%]"),
        sa.Column(
            "trix_ema_1",
            _FLOAT,
            nullable=True,
            comment="TRIX 第 1 重均线 | average 1 of 3 behind trix_12 [CNY, back-adjusted]",
        ),
        sa.Column(
            "trix_ema_2",
            _FLOAT,
            nullable=True,
            comment="TRIX 第 2 重均线 | average 2 of 3 behind trix_12 [CNY, back-adjusted]",
        ),
        sa.Column(
            "trix_ema_3",
            _FLOAT,
            nullable=True,
            comment="TRIX 第 3 重均线 | average 3 of 3 behind trix_12 [CNY, back-adjusted]",
        ),
        sa.Column("volume_ma_5", _FLOAT, nullable=True, comment="5 日均量 | mean volume of 5 sessions [shares]"),
        sa.Column("volume_ma_10", _FLOAT, nullable=True, comment="10 日均量 | mean volume of 10 sessions [shares]"),
        sa.Column("volume_ma_20", _FLOAT, nullable=True, comment="20 日均量 | mean volume of 20 sessions [shares]"),
        sa.Column("volume_ma_60", _FLOAT, nullable=True, comment="60 日均量 | mean volume of 60 sessions [shares]"),
        sa.Column(
            "volume_ratio",
            _FLOAT,
            nullable=True,
            comment="量比：成交量与前 5 日均量之比 | volume against the mean of the 5 sessions before",
        ),
        sa.Column(
            "high_20", _FLOAT, nullable=True, comment="20 日最高价 | highest price of 20 sessions [CNY, back-adjusted]"
        ),
        sa.Column(
            "low_20", _FLOAT, nullable=True, comment="20 日最低价 | lowest price of 20 sessions [CNY, back-adjusted]"
        ),
        sa.Column(
            "high_60", _FLOAT, nullable=True, comment="60 日最高价 | highest price of 60 sessions [CNY, back-adjusted]"
        ),
        sa.Column(
            "low_60", _FLOAT, nullable=True, comment="60 日最低价 | lowest price of 60 sessions [CNY, back-adjusted]"
        ),
        sa.Column(
            "high_250",
            _FLOAT,
            nullable=True,
            comment="250 日最高价 | highest price of 250 sessions [CNY, back-adjusted]",
        ),
        sa.Column(
            "low_250", _FLOAT, nullable=True, comment="250 日最低价 | lowest price of 250 sessions [CNY, back-adjusted]"
        ),
        sa.Column(
            "up_days", _INTEGER, nullable=True, comment="连涨天数 | rising sessions in a row up to this one [sessions]"
        ),
        sa.Column(
            "down_days",
            _INTEGER,
            nullable=True,
            comment="连跌天数 | falling sessions in a row up to this one [sessions]",
        ),
        sa.Column(
            "bar_number",
            _INTEGER,
            nullable=True,
            comment="该股票在存储中的第几根日线 | number of the bar in the stock's series [sessions]",
        ),
        sa.Column(
            "limit_up_price",
            _FLOAT,
            nullable=True,
            comment="涨停价；无涨跌幅限制时为空 | limit-up price; null where there is no limit [CNY]",
        ),
        sa.Column(
            "limit_down_price",
            _FLOAT,
            nullable=True,
            comment="跌停价；无涨跌幅限制时为空 | limit-down price; null where there is no limit [CNY]",
        ),
        sa.Column("is_limit_up", _BOOLEAN, nullable=True, comment="收盘涨停 | closed at the limit-up price"),
        sa.Column("is_limit_down", _BOOLEAN, nullable=True, comment="收盘跌停 | closed at the limit-down price"),
        sa.Column(
            "input_digest",
            _INTEGER,
            nullable=False,
            comment="该行输入的摘要：行情、复权因子、板块与 ST、指标版本 | digest of what the row is computed from: bar, factor, board and ST, version of the indicators",
        ),
        sa.PrimaryKeyConstraint("ts_code", "trade_date", name="pk_technical_daily"),
        comment="技术指标：每只股票每个有成交的交易日一行，价格类为后复权；停牌日没有行 | Technical indicators: one row for each traded day of a stock, prices back-adjusted; no row for suspended days",
    )
    op.create_index("ix_technical_daily_trade_date_ts_code", "technical_daily", ["trade_date", "ts_code"])
    convert(op.get_bind(), "technical_daily", "partitions")
    columns = ", ".join(
        f"stored.{name} / COALESCE(latest.back_adjust_factor, 1.0) AS {name}" if name in _PRICES else f"stored.{name}"
        for name in _SHOWN
    )
    op.execute(_VIEW.format(columns=columns))
    op.execute(sa.text("COMMENT ON VIEW technical_daily_qfq IS " + _quoted(_VIEW_COMMENT)))
    op.execute(_COMMENTS)


def _quoted(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"


def downgrade() -> None:
    """Drop both: what they hold can be computed again."""
    op.execute("DROP VIEW technical_daily_qfq")
    op.drop_table("technical_daily")
