"""Keep finance indicators: what Tushare said, and every published version of every report.

`finance_indicator_as_of(day)` gives what a reader could know on a day. Frozen, as every migration.
"""
# ruff: noqa: E501 - one column a line is what a reader of a migration looks for

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TEXT = sa.Text(collation="C")
_DATE = sa.Date()
_FLOAT: sa.Double[float] = sa.Double()
_TIMESTAMP = sa.DateTime(timezone=True)

# The figures of a report: name, unit, meaning. Both tables have them, one as text.
_FIGURES = """
    eps | CNY/share | 基本每股收益 | basic earnings per share
    dt_eps | CNY/share | 稀释每股收益 | diluted earnings per share
    total_revenue_ps | CNY/share | 每股营业总收入 | total operating revenue per share
    revenue_ps | CNY/share | 每股营业收入 | operating revenue per share
    capital_rese_ps | CNY/share | 每股资本公积 | capital reserve per share
    surplus_rese_ps | CNY/share | 每股盈余公积 | surplus reserve per share
    undist_profit_ps | CNY/share | 每股未分配利润 | undistributed profit per share
    extra_item | CNY | 非经常性损益 | non-recurring gains and losses
    profit_dedt | CNY | 扣除非经常性损益后的净利润（扣非净利润） | net profit without non-recurring items
    gross_margin | CNY | 毛利 | gross profit, an amount of money
    current_ratio | ratio | 流动比率 | current assets / current liabilities
    quick_ratio | ratio | 速动比率 | quick ratio: without inventories
    cash_ratio | ratio | 保守速动比率 | conservative quick ratio
    invturn_days | days | 存货周转天数 | days of inventory turnover
    arturn_days | days | 应收账款周转天数 | days of receivables turnover
    inv_turn | ratio | 存货周转率 | inventory turnover
    ar_turn | ratio | 应收账款周转率 | receivables turnover
    ca_turn | ratio | 流动资产周转率 | current assets turnover
    fa_turn | ratio | 固定资产周转率 | fixed assets turnover
    assets_turn | ratio | 总资产周转率 | total assets turnover
    op_income | CNY | 经营活动净收益 | net income from operating activities
    valuechange_income | CNY | 价值变动净收益 | net income from changes in value
    interst_income | CNY | 利息费用 | interest expense
    daa | CNY | 折旧与摊销 | depreciation and amortization
    ebit | CNY | 息税前利润 | earnings before interest and taxes
    ebitda | CNY | 息税折旧摊销前利润 | earnings before interest, taxes, depreciation and amortization
    fcff | CNY | 企业自由现金流量 | free cash flow to the firm
    fcfe | CNY | 股权自由现金流量 | free cash flow to equity
    current_exint | CNY | 无息流动负债 | current liabilities that bear no interest
    noncurrent_exint | CNY | 无息非流动负债 | non-current liabilities that bear no interest
    interestdebt | CNY | 带息债务 | debt that bears interest
    netdebt | CNY | 净债务 | net debt
    tangible_asset | CNY | 有形资产 | tangible assets
    working_capital | CNY | 营运资金 | working capital
    networking_capital | CNY | 营运流动资本 | net operating working capital
    invest_capital | CNY | 全部投入资本 | total invested capital
    retained_earnings | CNY | 留存收益 | retained earnings
    diluted2_eps | CNY/share | 期末摊薄每股收益 | earnings per share on the shares at the period's end
    bps | CNY/share | 每股净资产 | net assets per share
    ocfps | CNY/share | 每股经营活动产生的现金流量净额 | operating cash flow per share
    retainedps | CNY/share | 每股留存收益 | retained earnings per share
    cfps | CNY/share | 每股现金流量净额 | net cash flow per share
    ebit_ps | CNY/share | 每股息税前利润 | EBIT per share
    fcff_ps | CNY/share | 每股企业自由现金流量 | free cash flow to the firm per share
    fcfe_ps | CNY/share | 每股股东自由现金流量 | free cash flow to equity per share
    netprofit_margin | % | 销售净利率 | net profit / sales
    grossprofit_margin | % | 销售毛利率 | gross profit / sales
    cogs_of_sales | % | 销售成本率 | cost of sales / sales
    expense_of_sales | % | 销售期间费用率 | period expenses / sales
    profit_to_gr | % | 净利润/营业总收入 | net profit / total operating revenue
    saleexp_to_gr | % | 销售费用/营业总收入 | selling expenses / total operating revenue
    adminexp_of_gr | % | 管理费用/营业总收入 | administrative expenses / total operating revenue
    finaexp_of_gr | % | 财务费用/营业总收入 | financial expenses / total operating revenue
    impai_ttm | % | 资产减值损失/营业总收入 | asset impairment losses / total operating revenue
    gc_of_gr | % | 营业总成本/营业总收入 | total operating cost / total operating revenue
    op_of_gr | % | 营业利润/营业总收入 | operating profit / total operating revenue
    ebit_of_gr | % | 息税前利润/营业总收入 | EBIT / total operating revenue
    roe | % | 净资产收益率 | return on equity
    roe_waa | % | 加权平均净资产收益率 | return on equity, weighted average
    roe_dt | % | 净资产收益率(扣除非经常损益) | return on equity without non-recurring items
    roa | % | 总资产报酬率 | return on total assets, before interest and taxes
    npta | % | 总资产净利润 | net profit / total assets
    roic | % | 投入资本回报率 | return on invested capital
    roe_yearly | % | 年化净资产收益率 | return on equity, annualized
    roa2_yearly | % | 年化总资产报酬率 | return on total assets before interest and taxes, annualized
    roe_avg | % | 平均净资产收益率(增发条件) | return on average equity, as conditions of share issues count it
    opincome_of_ebt | % | 经营活动净收益/利润总额 | net income from operating activities / total profit
    investincome_of_ebt | % | 价值变动净收益/利润总额 | net income from changes in value / total profit
    n_op_profit_of_ebt | % | 营业外收支净额/利润总额 | non-operating income and expenses / total profit
    tax_to_ebt | % | 所得税/利润总额 | income tax / total profit
    dtprofit_to_profit | % | 扣除非经常损益后的净利润/净利润 | net profit without non-recurring items / net profit
    salescash_to_or | % | 销售商品提供劳务收到的现金/营业收入 | cash from sales / operating revenue
    ocf_to_or | % | 经营活动产生的现金流量净额/营业收入 | operating cash flow / operating revenue
    ocf_to_opincome | % | 经营活动产生的现金流量净额/经营活动净收益 | operating cash flow / net income from operating activities
    capitalized_to_da | % | 资本支出/折旧和摊销 | capital expenditure / depreciation and amortization
    debt_to_assets | % | 资产负债率 | total liabilities / total assets
    assets_to_eqt | ratio | 权益乘数 | equity multiplier: total assets / equity
    dp_assets_to_eqt | ratio | 权益乘数(杜邦分析) | equity multiplier of the DuPont analysis
    ca_to_assets | % | 流动资产/总资产 | current assets / total assets
    nca_to_assets | % | 非流动资产/总资产 | non-current assets / total assets
    tbassets_to_totalassets | % | 有形资产/总资产 | tangible assets / total assets
    int_to_talcap | % | 带息债务/全部投入资本 | debt that bears interest / total invested capital
    eqt_to_talcapital | % | 归属于母公司的股东权益/全部投入资本 | equity of the parent's owners / total invested capital
    currentdebt_to_debt | % | 流动负债/负债合计 | current liabilities / total liabilities
    longdeb_to_debt | % | 非流动负债/负债合计 | non-current liabilities / total liabilities
    ocf_to_shortdebt | ratio | 经营活动产生的现金流量净额/流动负债 | operating cash flow / current liabilities
    debt_to_eqt | ratio | 产权比率 | total liabilities / equity of the parent's owners
    eqt_to_debt | ratio | 归属于母公司的股东权益/负债合计 | equity of the parent's owners / total liabilities
    eqt_to_interestdebt | ratio | 归属于母公司的股东权益/带息债务 | equity of the parent's owners / debt that bears interest
    tangibleasset_to_debt | ratio | 有形资产/负债合计 | tangible assets / total liabilities
    tangasset_to_intdebt | ratio | 有形资产/带息债务 | tangible assets / debt that bears interest
    tangibleasset_to_netdebt | ratio | 有形资产/净债务 | tangible assets / net debt
    ocf_to_debt | ratio | 经营活动产生的现金流量净额/负债合计 | operating cash flow / total liabilities
    ocf_to_interestdebt | ratio | 经营活动产生的现金流量净额/带息债务 | operating cash flow / debt that bears interest
    ocf_to_netdebt | ratio | 经营活动产生的现金流量净额/净债务 | operating cash flow / net debt
    ebit_to_interest | ratio | 已获利息倍数(EBIT/利息费用) | interest cover: EBIT / interest expense
    longdebt_to_workingcapital | ratio | 长期债务与营运资金比率 | long-term debt / working capital
    ebitda_to_debt | ratio | 息税折旧摊销前利润/负债合计 | EBITDA / total liabilities
    turn_days | days | 营业周期 | operating cycle
    roa_yearly | % | 年化总资产净利率 | net profit / total assets, annualized
    roa_dp | % | 总资产净利率(杜邦分析) | net profit / total assets of the DuPont analysis
    fixed_assets | CNY | 固定资产合计 | fixed assets
    profit_prefin_exp | CNY | 扣除财务费用前营业利润 | operating profit before financial expenses
    non_op_profit | CNY | 非营业利润 | non-operating profit
    op_to_ebt | % | 营业利润／利润总额 | operating profit / total profit
    nop_to_ebt | % | 非营业利润／利润总额 | non-operating profit / total profit
    ocf_to_profit | % | 经营活动产生的现金流量净额／营业利润 | operating cash flow / operating profit
    cash_to_liqdebt | ratio | 货币资金／流动负债 | cash / current liabilities
    cash_to_liqdebt_withinterest | ratio | 货币资金／带息流动负债 | cash / current liabilities that bear interest
    op_to_liqdebt | ratio | 营业利润／流动负债 | operating profit / current liabilities
    op_to_debt | ratio | 营业利润／负债合计 | operating profit / total liabilities
    roic_yearly | % | 年化投入资本回报率 | return on invested capital, annualized
    total_fa_trun | ratio | 固定资产合计周转率 | turnover of all fixed assets
    profit_to_op | % | 利润总额／营业收入 | total profit / operating revenue
    q_opincome | CNY | 经营活动单季度净收益 | net income from operating activities, quarter alone
    q_investincome | CNY | 价值变动单季度净收益 | net income from changes in value, quarter alone
    q_dtprofit | CNY | 扣除非经常损益后的单季度净利润 | net profit without non-recurring items, quarter alone
    q_eps | CNY/share | 每股收益(单季度) | earnings per share, quarter alone
    q_netprofit_margin | % | 销售净利率(单季度) | net profit / sales, quarter alone
    q_gsprofit_margin | % | 销售毛利率(单季度) | gross profit / sales, quarter alone
    q_exp_to_sales | % | 销售期间费用率(单季度) | period expenses / sales, quarter alone
    q_profit_to_gr | % | 净利润／营业总收入(单季度) | net profit / total operating revenue, quarter alone
    q_saleexp_to_gr | % | 销售费用／营业总收入 (单季度) | selling expenses / total operating revenue, quarter alone
    q_adminexp_to_gr | % | 管理费用／营业总收入 (单季度) | administrative expenses / total operating revenue, quarter alone
    q_finaexp_to_gr | % | 财务费用／营业总收入 (单季度) | financial expenses / total operating revenue, quarter alone
    q_impair_to_gr_ttm | % | 资产减值损失／营业总收入(单季度) | asset impairment losses / total operating revenue, quarter alone
    q_gc_to_gr | % | 营业总成本／营业总收入 (单季度) | total operating cost / total operating revenue, quarter alone
    q_op_to_gr | % | 营业利润／营业总收入(单季度) | operating profit / total operating revenue, quarter alone
    q_roe | % | 净资产收益率(单季度) | return on equity, quarter alone
    q_dt_roe | % | 净资产单季度收益率(扣除非经常损益) | return on equity without non-recurring items, quarter alone
    q_npta | % | 总资产净利润(单季度) | net profit / total assets, quarter alone
    q_opincome_to_ebt | % | 经营活动净收益／利润总额(单季度) | net income from operating activities / total profit, quarter alone
    q_investincome_to_ebt | % | 价值变动净收益／利润总额(单季度) | net income from changes in value / total profit, quarter alone
    q_dtprofit_to_profit | % | 扣除非经常损益后的净利润／净利润(单季度) | net profit without non-recurring items / net profit, quarter alone
    q_salescash_to_or | % | 销售商品提供劳务收到的现金／营业收入(单季度) | cash from sales / operating revenue, quarter alone
    q_ocf_to_sales | % | 经营活动产生的现金流量净额／营业收入(单季度) | operating cash flow / operating revenue, quarter alone
    q_ocf_to_or | % | 经营活动产生的现金流量净额／经营活动净收益(单季度) | operating cash flow / net income from operating activities, quarter alone
    basic_eps_yoy | % | 基本每股收益同比增长率(%) | growth of basic earnings per share, on the year before
    dt_eps_yoy | % | 稀释每股收益同比增长率(%) | growth of diluted earnings per share, on the year before
    cfps_yoy | % | 每股经营活动产生的现金流量净额同比增长率(%) | growth of operating cash flow per share, on the year before
    op_yoy | % | 营业利润同比增长率(%) | growth of operating profit, on the year before
    ebt_yoy | % | 利润总额同比增长率(%) | growth of total profit, on the year before
    netprofit_yoy | % | 归属母公司股东的净利润同比增长率(%) | growth of net profit of the parent's owners, on the year before
    dt_netprofit_yoy | % | 归属母公司股东的净利润-扣除非经常损益同比增长率(%) | growth of their net profit without non-recurring items, on the year before
    ocf_yoy | % | 经营活动产生的现金流量净额同比增长率(%) | growth of operating cash flow, on the year before
    roe_yoy | % | 净资产收益率(摊薄)同比增长率(%) | growth of diluted return on equity, on the year before
    bps_yoy | % | 每股净资产相对年初增长率(%) | growth of net assets per share, since the year's beginning
    assets_yoy | % | 资产总计相对年初增长率(%) | growth of total assets, since the year's beginning
    eqt_yoy | % | 归属母公司的股东权益相对年初增长率(%) | growth of equity of the parent's owners, since the year's beginning
    tr_yoy | % | 营业总收入同比增长率(%) | growth of total operating revenue, on the year before
    or_yoy | % | 营业收入同比增长率(%) | growth of operating revenue, on the year before
    q_gr_yoy | % | 营业总收入同比增长率(%)(单季度) | growth of total operating revenue, quarter alone, on the year before
    q_gr_qoq | % | 营业总收入环比增长率(%)(单季度) | growth of total operating revenue, quarter alone, on the quarter before
    q_sales_yoy | % | 营业收入同比增长率(%)(单季度) | growth of operating revenue, quarter alone, on the year before
    q_sales_qoq | % | 营业收入环比增长率(%)(单季度) | growth of operating revenue, quarter alone, on the quarter before
    q_op_yoy | % | 营业利润同比增长率(%)(单季度) | growth of operating profit, quarter alone, on the year before
    q_op_qoq | % | 营业利润环比增长率(%)(单季度) | growth of operating profit, quarter alone, on the quarter before
    q_profit_yoy | % | 净利润同比增长率(%)(单季度) | growth of net profit, quarter alone, on the year before
    q_profit_qoq | % | 净利润环比增长率(%)(单季度) | growth of net profit, quarter alone, on the quarter before
    q_netprofit_yoy | % | 归属母公司股东的净利润同比增长率(%)(单季度) | growth of net profit of the parent's owners, quarter alone, on the year before
    q_netprofit_qoq | % | 归属母公司股东的净利润环比增长率(%)(单季度) | growth of net profit of the parent's owners, quarter alone, on the quarter before
    equity_yoy | % | 净资产同比增长率 | growth of net assets, on the year before
    rd_exp | CNY | 研发费用 | research and development expenses
"""
# Plain SQL, so that the planner sees through it and conditions on stocks and periods reach the indexes. Of two sources the
# fuller one speaks first; a day on which a report was merely seen never outranks an announcement.
_AS_OF = """
    CREATE FUNCTION finance_indicator_as_of(day date) RETURNS SETOF finance_indicator
    LANGUAGE sql STABLE PARALLEL SAFE AS $body$
        SELECT DISTINCT ON (ts_code, end_date) * FROM finance_indicator
        WHERE known_from <= day AND is_chosen
        ORDER BY ts_code, end_date, source = 'baostock', ann_date_basis = 'first_seen',
                 GREATEST(ann_date, f_ann_date) DESC, ann_date DESC, version DESC
    $body$
"""
_COMMENT = """
    COMMENT ON FUNCTION finance_indicator_as_of(date) IS '该日读者可知的每份报告的最新版本 | of each report the newest version that a reader could know on the day'
"""


def upgrade() -> None:
    """Create both tables, their indexes, and what reads them as of a day."""
    figures = [tuple(part.strip() for part in line.split(" | ")) for line in _FIGURES.strip().splitlines()]
    op.create_table(
        "raw_tushare_fina_indicator",
        sa.Column("ts_code", _TEXT, nullable=False, comment="TS代码 | code, verbatim"),
        sa.Column(
            "ann_date",
            _TEXT,
            nullable=False,
            comment="公告日期 | day of the announcement; empty where the source names none, verbatim",
        ),
        sa.Column("end_date", _TEXT, nullable=False, comment="报告期 | period's last day, verbatim"),
        *(sa.Column(name, _TEXT, nullable=True, comment=f"{zh} | {en}, verbatim") for name, _, zh, en in figures),
        sa.Column(
            "update_flag",
            _TEXT,
            nullable=False,
            comment="更新标识 | 0 = as first published, 1 = corrected; empty where the source says nothing, verbatim",
        ),
        sa.Column(
            "duplicate",
            sa.BigInteger(),
            nullable=False,
            comment="同一应答中同一报告期、公告日、标识的第几行，自 0 起 | of the rows of one answer with one period, announcement and flag, which one, from 0",
        ),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该内容的时间 | when this content was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint(
            "ts_code",
            "end_date",
            "ann_date",
            "update_flag",
            "duplicate",
            "fetched_at",
            name="pk_raw_tushare_fina_indicator",
        ),
        comment="Tushare 财务指标原始应答：逐字保存，内容变化即为新版本 | Tushare's fina_indicator as answered: verbatim text, a changed answer is a new version",
    )
    op.create_index(
        "ix_raw_tushare_fina_indicator_end_date_ts_code", "raw_tushare_fina_indicator", ["end_date", "ts_code"]
    )
    op.create_table(
        "finance_indicator",
        sa.Column("ts_code", _TEXT, nullable=False, comment="证券代码，如 600000.SH | security code such as 600000.SH"),
        sa.Column("end_date", _DATE, nullable=False, comment="报告期，季末日 | period, the last day of a quarter"),
        sa.Column(
            "ann_date",
            _DATE,
            nullable=False,
            comment="公告日；数据源未给出时见 ann_date_basis | day of the announcement; where the source names none, see ann_date_basis",
        ),
        sa.Column(
            "version",
            sa.BigInteger(),
            nullable=False,
            comment="同一公告的第几个版本 | which version of this announcement",
        ),
        sa.Column(
            "known_from",
            _DATE,
            nullable=False,
            comment="自该交易日起读者可以知道这些值 | first trading day on which a reader could know these values",
        ),
        sa.Column(
            "f_ann_date",
            _DATE,
            nullable=True,
            comment="实际公告日，已知时 | day of the actual announcement, where known",
        ),
        sa.Column(
            "ann_date_basis",
            _TEXT,
            nullable=False,
            comment="公告日来自：stated 数据源，disclosure 披露计划的实际披露日，first_seen 首次收到 | where ann_date is from: the source's own, the disclosure calendar, or the day it was first received",
        ),
        sa.Column(
            "update_flag",
            _TEXT,
            nullable=True,
            comment="数据源标识：0 首次，1 更正 | the source's flag: 0 = as first published, 1 = corrected",
        ),
        sa.Column(
            "is_chosen",
            sa.Boolean(),
            nullable=False,
            comment="应答中同一公告有多行时，是否为被采用的一行；按时点读取只用被采用的 | of the rows an answer had for one announcement, the one that stands; only these are read as of a day",
        ),
        *(sa.Column(name, _FLOAT, nullable=True, comment=f"{zh} | {en} [{unit}]") for name, unit, zh, en in figures),
        sa.Column("source", _TEXT, nullable=False, comment="数据来源 | who said it"),
        sa.Column(
            "fetched_at",
            _TIMESTAMP,
            nullable=False,
            comment="首次收到该内容的时间 | when this content was first received",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("ts_code", "end_date", "ann_date", "version", name="pk_finance_indicator"),
        *(
            sa.CheckConstraint(
                f"{name} > '-Infinity' AND {name} < 'Infinity'", name=op.f(f"ck_finance_indicator_{name}_range")
            )
            for name, *_ in figures
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_finance_indicator_version_range")),
        sa.CheckConstraint(
            "ann_date_basis IN ('stated', 'disclosure', 'first_seen')",
            name=op.f("ck_finance_indicator_ann_date_basis_choice"),
        ),
        sa.CheckConstraint("ts_code ~ '^[0-9]{6}[.](SH|SZ|BJ)$'", name=op.f("ck_finance_indicator_ts_code_form")),
        sa.CheckConstraint(
            "extract(day FROM end_date + 1) = 1 AND extract(month FROM end_date + 1) IN (1, 4, 7, 10)",
            name=op.f("ck_finance_indicator_end_date_quarter_end"),
        ),
        sa.CheckConstraint("ann_date >= end_date", name=op.f("ck_finance_indicator_ann_date_after_period")),
        sa.CheckConstraint(
            "known_from > GREATEST(ann_date, f_ann_date)", name=op.f("ck_finance_indicator_known_after_announcement")
        ),
        comment="财务指标：每份报告的每个已公布版本各一行 | Finance indicators: one row for every published version of every report",
    )
    op.create_index("ix_finance_indicator_end_date_ts_code", "finance_indicator", ["end_date", "ts_code"])
    op.create_index("ix_finance_indicator_ann_date_ts_code", "finance_indicator", ["ann_date", "ts_code"])
    op.create_index("ix_finance_indicator_known_from_ts_code", "finance_indicator", ["known_from", "ts_code"])
    op.execute(_AS_OF)
    op.execute(_COMMENT)


def downgrade() -> None:
    """Drop them with their rows."""
    op.execute("DROP FUNCTION finance_indicator_as_of(date)")
    op.drop_table("finance_indicator")
    op.drop_table("raw_tushare_fina_indicator")
