"""The contracts of the raw tables that keep BaoStock's six quarterly tables, in its own column names."""

from typing import Final

from stock_assets.domain.contract import Column, Table

_PERIOD: Final = ("code", "statDate")
_COMMON: Final = {
    "code": "代码 | code",
    "pubDate": "公告日 | day of the announcement",
    "statDate": "报告期末日 | period's last day",
}
_OURS: Final = (
    Column("fetched_at", "timestamp", "首次收到该应答的时间", "when this answer was first received"),
    Column("run_id", "text", "写入该行的运行编号", "run that wrote the row", nullable=True),
)


def _raw(name: str, zh: str, en: str, fields: dict[str, str]) -> Table:
    columns: list[Column] = []
    for field, meaning in {**_COMMON, **fields}.items():
        field_zh, _, field_en = meaning.partition(" | ")
        columns.append(Column(field, "text", field_zh, f"{field_en}, verbatim", nullable=field not in _PERIOD))
    return Table(
        name,
        f"BaoStock {zh}原始应答：逐字保存，比率为小数，内容变化即为新版本",
        f"BaoStock's quarterly {en} as answered: verbatim text, ratios as fractions, a changed answer is a new version",
        (*columns, *_OURS),
        (*_PERIOD, "fetched_at"),
        indexes=(("statDate", "code"),),
    )


RAW_BAOSTOCK_PROFIT: Final = _raw(
    "raw_baostock_profit",
    "季频盈利能力",
    "profitability",
    {
        "roeAvg": "净资产收益率（平均） | return on average equity",
        "npMargin": "销售净利率 | net profit / sales",
        "gpMargin": "销售毛利率 | gross profit / sales",
        "netProfit": "净利润（元） | net profit in CNY",
        "epsTTM": "每股收益，最近四个季度 | earnings per share of the last four quarters",
        "MBRevenue": "主营营业收入（元） | main operating revenue in CNY",
        "totalShare": "总股本 | shares",
        "liqaShare": "流通股本 | floating shares",
    },
)
RAW_BAOSTOCK_OPERATION: Final = _raw(
    "raw_baostock_operation",
    "季频营运能力",
    "turnover",
    {
        "NRTurnRatio": "应收账款周转率（次） | turnover of receivables, notes included",
        "NRTurnDays": "应收账款周转天数 | days of receivables",
        "INVTurnRatio": "存货周转率（次） | turnover of inventory",
        "INVTurnDays": "存货周转天数 | days of inventory",
        "CATurnRatio": "流动资产周转率（次） | turnover of current assets",
        "AssetTurnRatio": "总资产周转率（次） | turnover of total assets",
    },
)
RAW_BAOSTOCK_GROWTH: Final = _raw(
    "raw_baostock_growth",
    "季频成长能力",
    "growth",
    {
        "YOYEquity": "净资产同比 | growth of equity on the year before",
        "YOYAsset": "总资产同比 | growth of total assets on the year before",
        "YOYNI": "净利润同比（含少数股东） | growth of net profit, minorities included",
        "YOYEPSBasic": "基本每股收益同比 | growth of basic earnings per share",
        "YOYPNI": "归属母公司股东净利润同比 | growth of the parent's net profit",
    },
)
RAW_BAOSTOCK_BALANCE: Final = _raw(
    "raw_baostock_balance",
    "季频偿债能力",
    "solvency",
    {
        "currentRatio": "流动比率 | current ratio",
        "quickRatio": "速动比率 | quick ratio",
        "cashRatio": "现金比率 | cash ratio",
        "YOYLiability": "总负债同比 | growth of liabilities on the year before",
        "liabilityToAsset": "资产负债率 | liabilities / assets",
        "assetToEquity": "权益乘数 | assets / equity",
    },
)
RAW_BAOSTOCK_CASH_FLOW: Final = _raw(
    "raw_baostock_cash_flow",
    "季频现金流量",
    "cash flow",
    {
        "CAToAsset": "流动资产/总资产 | current assets / assets",
        "NCAToAsset": "非流动资产/总资产 | non-current assets / assets",
        "tangibleAssetToAsset": "有形资产/总资产 | tangible assets / assets",
        "ebitToInterest": "已获利息倍数 | EBIT / interest",
        "CFOToOR": "经营现金流量净额/营业收入 | operating cash flow / operating revenue",
        "CFOToNP": "经营现金流量净额/净利润 | operating cash flow / net profit",
        "CFOToGr": "经营现金流量净额/营业总收入 | operating cash flow / total operating revenue",
    },
)
RAW_BAOSTOCK_DUPONT: Final = _raw(
    "raw_baostock_dupont",
    "季频杜邦指数",
    "DuPont analysis",
    {
        "dupontROE": "净资产收益率 | return on equity",
        "dupontAssetStoEquity": "权益乘数 | equity multiplier",
        "dupontAssetTurn": "总资产周转率 | turnover of total assets",
        "dupontPnitoni": "归属母公司股东净利润/净利润 | the parent's net profit / net profit",
        "dupontNitogr": "净利润/营业总收入 | net profit / total operating revenue",
        "dupontTaxBurden": "净利润/利润总额 | net profit / profit before tax",
        "dupontIntburden": "利润总额/息税前利润 | profit before tax / EBIT",
        "dupontEbittogr": "息税前利润/营业总收入 | EBIT / total operating revenue",
    },
)

RAW_BAOSTOCK_FINANCE: Final = (
    RAW_BAOSTOCK_PROFIT,
    RAW_BAOSTOCK_OPERATION,
    RAW_BAOSTOCK_GROWTH,
    RAW_BAOSTOCK_BALANCE,
    RAW_BAOSTOCK_CASH_FLOW,
    RAW_BAOSTOCK_DUPONT,
)
"""All six, in the order in which BaoStock documents them."""
