"""Keep what BaoStock says of a quarter: its six tables of finance figures. Frozen, as every migration."""
# ruff: noqa: E501 - one column a line is what a reader of a migration looks for

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TEXT = sa.Text(collation="C")
_TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the raw tables."""
    op.create_table(
        "raw_baostock_profit",
        sa.Column("code", _TEXT, nullable=False, comment="代码 | code, verbatim"),
        sa.Column("pubDate", _TEXT, nullable=True, comment="公告日 | day of the announcement, verbatim"),
        sa.Column("statDate", _TEXT, nullable=False, comment="报告期末日 | period's last day, verbatim"),
        sa.Column("roeAvg", _TEXT, nullable=True, comment="净资产收益率（平均） | return on average equity, verbatim"),
        sa.Column("npMargin", _TEXT, nullable=True, comment="销售净利率 | net profit / sales, verbatim"),
        sa.Column("gpMargin", _TEXT, nullable=True, comment="销售毛利率 | gross profit / sales, verbatim"),
        sa.Column("netProfit", _TEXT, nullable=True, comment="净利润（元） | net profit in CNY, verbatim"),
        sa.Column(
            "epsTTM",
            _TEXT,
            nullable=True,
            comment="每股收益，最近四个季度 | earnings per share of the last four quarters, verbatim",
        ),
        sa.Column(
            "MBRevenue", _TEXT, nullable=True, comment="主营营业收入（元） | main operating revenue in CNY, verbatim"
        ),
        sa.Column("totalShare", _TEXT, nullable=True, comment="总股本 | shares, verbatim"),
        sa.Column("liqaShare", _TEXT, nullable=True, comment="流通股本 | floating shares, verbatim"),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该应答的时间 | when this answer was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("code", "statDate", "fetched_at", name="pk_raw_baostock_profit"),
        comment="BaoStock 季频盈利能力原始应答：逐字保存，比率为小数，内容变化即为新版本 | BaoStock's quarterly profitability as answered: verbatim text, ratios as fractions, a changed answer is a new version",
    )
    op.create_index("ix_raw_baostock_profit_statDate_code", "raw_baostock_profit", ["statDate", "code"])
    op.create_table(
        "raw_baostock_operation",
        sa.Column("code", _TEXT, nullable=False, comment="代码 | code, verbatim"),
        sa.Column("pubDate", _TEXT, nullable=True, comment="公告日 | day of the announcement, verbatim"),
        sa.Column("statDate", _TEXT, nullable=False, comment="报告期末日 | period's last day, verbatim"),
        sa.Column(
            "NRTurnRatio",
            _TEXT,
            nullable=True,
            comment="应收账款周转率（次） | turnover of receivables, notes included, verbatim",
        ),
        sa.Column("NRTurnDays", _TEXT, nullable=True, comment="应收账款周转天数 | days of receivables, verbatim"),
        sa.Column("INVTurnRatio", _TEXT, nullable=True, comment="存货周转率（次） | turnover of inventory, verbatim"),
        sa.Column("INVTurnDays", _TEXT, nullable=True, comment="存货周转天数 | days of inventory, verbatim"),
        sa.Column(
            "CATurnRatio", _TEXT, nullable=True, comment="流动资产周转率（次） | turnover of current assets, verbatim"
        ),
        sa.Column(
            "AssetTurnRatio", _TEXT, nullable=True, comment="总资产周转率（次） | turnover of total assets, verbatim"
        ),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该应答的时间 | when this answer was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("code", "statDate", "fetched_at", name="pk_raw_baostock_operation"),
        comment="BaoStock 季频营运能力原始应答：逐字保存，比率为小数，内容变化即为新版本 | BaoStock's quarterly turnover as answered: verbatim text, ratios as fractions, a changed answer is a new version",
    )
    op.create_index("ix_raw_baostock_operation_statDate_code", "raw_baostock_operation", ["statDate", "code"])
    op.create_table(
        "raw_baostock_growth",
        sa.Column("code", _TEXT, nullable=False, comment="代码 | code, verbatim"),
        sa.Column("pubDate", _TEXT, nullable=True, comment="公告日 | day of the announcement, verbatim"),
        sa.Column("statDate", _TEXT, nullable=False, comment="报告期末日 | period's last day, verbatim"),
        sa.Column(
            "YOYEquity", _TEXT, nullable=True, comment="净资产同比 | growth of equity on the year before, verbatim"
        ),
        sa.Column(
            "YOYAsset", _TEXT, nullable=True, comment="总资产同比 | growth of total assets on the year before, verbatim"
        ),
        sa.Column(
            "YOYNI",
            _TEXT,
            nullable=True,
            comment="净利润同比（含少数股东） | growth of net profit, minorities included, verbatim",
        ),
        sa.Column(
            "YOYEPSBasic",
            _TEXT,
            nullable=True,
            comment="基本每股收益同比 | growth of basic earnings per share, verbatim",
        ),
        sa.Column(
            "YOYPNI",
            _TEXT,
            nullable=True,
            comment="归属母公司股东净利润同比 | growth of the parent's net profit, verbatim",
        ),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该应答的时间 | when this answer was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("code", "statDate", "fetched_at", name="pk_raw_baostock_growth"),
        comment="BaoStock 季频成长能力原始应答：逐字保存，比率为小数，内容变化即为新版本 | BaoStock's quarterly growth as answered: verbatim text, ratios as fractions, a changed answer is a new version",
    )
    op.create_index("ix_raw_baostock_growth_statDate_code", "raw_baostock_growth", ["statDate", "code"])
    op.create_table(
        "raw_baostock_balance",
        sa.Column("code", _TEXT, nullable=False, comment="代码 | code, verbatim"),
        sa.Column("pubDate", _TEXT, nullable=True, comment="公告日 | day of the announcement, verbatim"),
        sa.Column("statDate", _TEXT, nullable=False, comment="报告期末日 | period's last day, verbatim"),
        sa.Column("currentRatio", _TEXT, nullable=True, comment="流动比率 | current ratio, verbatim"),
        sa.Column("quickRatio", _TEXT, nullable=True, comment="速动比率 | quick ratio, verbatim"),
        sa.Column("cashRatio", _TEXT, nullable=True, comment="现金比率 | cash ratio, verbatim"),
        sa.Column(
            "YOYLiability",
            _TEXT,
            nullable=True,
            comment="总负债同比 | growth of liabilities on the year before, verbatim",
        ),
        sa.Column("liabilityToAsset", _TEXT, nullable=True, comment="资产负债率 | liabilities / assets, verbatim"),
        sa.Column("assetToEquity", _TEXT, nullable=True, comment="权益乘数 | assets / equity, verbatim"),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该应答的时间 | when this answer was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("code", "statDate", "fetched_at", name="pk_raw_baostock_balance"),
        comment="BaoStock 季频偿债能力原始应答：逐字保存，比率为小数，内容变化即为新版本 | BaoStock's quarterly solvency as answered: verbatim text, ratios as fractions, a changed answer is a new version",
    )
    op.create_index("ix_raw_baostock_balance_statDate_code", "raw_baostock_balance", ["statDate", "code"])
    op.create_table(
        "raw_baostock_cash_flow",
        sa.Column("code", _TEXT, nullable=False, comment="代码 | code, verbatim"),
        sa.Column("pubDate", _TEXT, nullable=True, comment="公告日 | day of the announcement, verbatim"),
        sa.Column("statDate", _TEXT, nullable=False, comment="报告期末日 | period's last day, verbatim"),
        sa.Column("CAToAsset", _TEXT, nullable=True, comment="流动资产/总资产 | current assets / assets, verbatim"),
        sa.Column(
            "NCAToAsset", _TEXT, nullable=True, comment="非流动资产/总资产 | non-current assets / assets, verbatim"
        ),
        sa.Column(
            "tangibleAssetToAsset", _TEXT, nullable=True, comment="有形资产/总资产 | tangible assets / assets, verbatim"
        ),
        sa.Column("ebitToInterest", _TEXT, nullable=True, comment="已获利息倍数 | EBIT / interest, verbatim"),
        sa.Column(
            "CFOToOR",
            _TEXT,
            nullable=True,
            comment="经营现金流量净额/营业收入 | operating cash flow / operating revenue, verbatim",
        ),
        sa.Column(
            "CFOToNP",
            _TEXT,
            nullable=True,
            comment="经营现金流量净额/净利润 | operating cash flow / net profit, verbatim",
        ),
        sa.Column(
            "CFOToGr",
            _TEXT,
            nullable=True,
            comment="经营现金流量净额/营业总收入 | operating cash flow / total operating revenue, verbatim",
        ),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该应答的时间 | when this answer was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("code", "statDate", "fetched_at", name="pk_raw_baostock_cash_flow"),
        comment="BaoStock 季频现金流量原始应答：逐字保存，比率为小数，内容变化即为新版本 | BaoStock's quarterly cash flow as answered: verbatim text, ratios as fractions, a changed answer is a new version",
    )
    op.create_index("ix_raw_baostock_cash_flow_statDate_code", "raw_baostock_cash_flow", ["statDate", "code"])
    op.create_table(
        "raw_baostock_dupont",
        sa.Column("code", _TEXT, nullable=False, comment="代码 | code, verbatim"),
        sa.Column("pubDate", _TEXT, nullable=True, comment="公告日 | day of the announcement, verbatim"),
        sa.Column("statDate", _TEXT, nullable=False, comment="报告期末日 | period's last day, verbatim"),
        sa.Column("dupontROE", _TEXT, nullable=True, comment="净资产收益率 | return on equity, verbatim"),
        sa.Column("dupontAssetStoEquity", _TEXT, nullable=True, comment="权益乘数 | equity multiplier, verbatim"),
        sa.Column("dupontAssetTurn", _TEXT, nullable=True, comment="总资产周转率 | turnover of total assets, verbatim"),
        sa.Column(
            "dupontPnitoni",
            _TEXT,
            nullable=True,
            comment="归属母公司股东净利润/净利润 | the parent's net profit / net profit, verbatim",
        ),
        sa.Column(
            "dupontNitogr",
            _TEXT,
            nullable=True,
            comment="净利润/营业总收入 | net profit / total operating revenue, verbatim",
        ),
        sa.Column(
            "dupontTaxBurden",
            _TEXT,
            nullable=True,
            comment="净利润/利润总额 | net profit / profit before tax, verbatim",
        ),
        sa.Column(
            "dupontIntburden", _TEXT, nullable=True, comment="利润总额/息税前利润 | profit before tax / EBIT, verbatim"
        ),
        sa.Column(
            "dupontEbittogr",
            _TEXT,
            nullable=True,
            comment="息税前利润/营业总收入 | EBIT / total operating revenue, verbatim",
        ),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该应答的时间 | when this answer was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("code", "statDate", "fetched_at", name="pk_raw_baostock_dupont"),
        comment="BaoStock 季频杜邦指数原始应答：逐字保存，比率为小数，内容变化即为新版本 | BaoStock's quarterly DuPont analysis as answered: verbatim text, ratios as fractions, a changed answer is a new version",
    )
    op.create_index("ix_raw_baostock_dupont_statDate_code", "raw_baostock_dupont", ["statDate", "code"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("raw_baostock_dupont")
    op.drop_table("raw_baostock_cash_flow")
    op.drop_table("raw_baostock_balance")
    op.drop_table("raw_baostock_growth")
    op.drop_table("raw_baostock_operation")
    op.drop_table("raw_baostock_profit")
