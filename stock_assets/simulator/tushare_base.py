"""What a Tushare server knows of its interfaces, and what it asks of a market.

Fields, defaults, points and caps as the pages say and as measured in 2026; a mark † there means "only when named".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from datetime import date

Cell: TypeAlias = str | float | int | None
Row: TypeAlias = Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Service:
    """One interface: its columns in order, those that come only when they are named, and who gets how much.

    Of `needs` one parameter must be there. `takes_lists` says whether a comma list of codes brings rows; where it does
    not, it brings none, without an error. `ready` is the hour of the day from which a day's rows are published.
    """

    name: str
    fields: tuple[str, ...]
    hidden: frozenset[str] = frozenset()
    points: int = 2000
    cap: int | None = None
    needs: tuple[str, ...] = ()
    takes_lists: bool = True
    ready: str = "00:00"


class TushareMarket(Protocol):
    """Rows in Tushare's form; everything is what was known at the end of the day `known`."""

    @property
    def last_session(self) -> date:
        """The newest trading day that has bars."""
        ...

    def rows(self, service: Service, params: Mapping[str, str], known: date) -> Iterator[Row]:
        """Yield the rows of an answer in the interface's full order of columns, newest first.

        Unknown codes and days give none. `params` has no empty values.
        """
        ...


_STOCK_BASIC: Final = (
    "ts_code,symbol,name,area,industry,fullname,enname,cnspell,market,exchange,curr_type,list_status,list_date,"
    "delist_date,is_hs,act_name,act_ent_type"
)
_DAILY: Final = "ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount"
_DAILY_BASIC: Final = (
    "ts_code,trade_date,close,turnover_rate,turnover_rate_f,volume_ratio,pe,pe_ttm,pb,ps,ps_ttm,dv_ratio,dv_ttm,"
    "total_share,float_share,free_share,total_mv,circ_mv"
)
_FINANCE: Final = (
    "ts_code,ann_date,end_date,eps,dt_eps,total_revenue_ps,revenue_ps,capital_rese_ps,surplus_rese_ps,undist_profit_ps,"
    "extra_item,profit_dedt,gross_margin,current_ratio,quick_ratio,cash_ratio,invturn_days†,arturn_days†,inv_turn†,"
    "ar_turn,ca_turn,fa_turn,assets_turn,op_income,valuechange_income†,interst_income†,daa†,ebit,ebitda,fcff,fcfe,"
    "current_exint,noncurrent_exint,interestdebt,netdebt,tangible_asset,working_capital,networking_capital,"
    "invest_capital,retained_earnings,diluted2_eps,bps,ocfps,retainedps,cfps,ebit_ps,fcff_ps,fcfe_ps,netprofit_margin,"
    "grossprofit_margin,cogs_of_sales,expense_of_sales,profit_to_gr,saleexp_to_gr,adminexp_of_gr,finaexp_of_gr,"
    "impai_ttm,gc_of_gr,op_of_gr,ebit_of_gr,roe,roe_waa,roe_dt,roa,npta,roic,roe_yearly,roa2_yearly,roe_avg†,"
    "opincome_of_ebt†,investincome_of_ebt†,n_op_profit_of_ebt†,tax_to_ebt†,dtprofit_to_profit†,salescash_to_or†,"
    "ocf_to_or†,ocf_to_opincome†,capitalized_to_da†,debt_to_assets,assets_to_eqt,dp_assets_to_eqt,ca_to_assets,"
    "nca_to_assets,tbassets_to_totalassets,int_to_talcap,eqt_to_talcapital,currentdebt_to_debt,longdeb_to_debt,"
    "ocf_to_shortdebt,debt_to_eqt,eqt_to_debt,eqt_to_interestdebt,tangibleasset_to_debt,tangasset_to_intdebt,"
    "tangibleasset_to_netdebt,ocf_to_debt,ocf_to_interestdebt†,ocf_to_netdebt†,ebit_to_interest†,"
    "longdebt_to_workingcapital†,ebitda_to_debt†,turn_days,roa_yearly,roa_dp,fixed_assets,profit_prefin_exp†,"
    "non_op_profit†,op_to_ebt†,nop_to_ebt†,ocf_to_profit†,cash_to_liqdebt†,cash_to_liqdebt_withinterest†,"
    "op_to_liqdebt†,op_to_debt†,roic_yearly†,total_fa_trun†,profit_to_op,q_opincome†,q_investincome†,q_dtprofit†,"
    "q_eps†,q_netprofit_margin†,q_gsprofit_margin†,q_exp_to_sales†,q_profit_to_gr†,q_saleexp_to_gr,q_adminexp_to_gr†,"
    "q_finaexp_to_gr†,q_impair_to_gr_ttm†,q_gc_to_gr,q_op_to_gr†,q_roe,q_dt_roe,q_npta,q_opincome_to_ebt†,"
    "q_investincome_to_ebt†,q_dtprofit_to_profit†,q_salescash_to_or†,q_ocf_to_sales,q_ocf_to_or†,basic_eps_yoy,"
    "dt_eps_yoy,cfps_yoy,op_yoy,ebt_yoy,netprofit_yoy,dt_netprofit_yoy,ocf_yoy,roe_yoy,bps_yoy,assets_yoy,eqt_yoy,"
    "tr_yoy,or_yoy,q_gr_yoy†,q_gr_qoq†,q_sales_yoy,q_sales_qoq†,q_op_yoy†,q_op_qoq,q_profit_yoy†,q_profit_qoq†,"
    "q_netprofit_yoy†,q_netprofit_qoq†,equity_yoy,rd_exp†,update_flag†"
)


def _columns(text: str) -> tuple[str, ...]:
    return tuple(name.rstrip("†") for name in text.split(","))


def _hidden(text: str) -> frozenset[str]:
    return frozenset(name.rstrip("†") for name in text.split(",") if name.endswith("†"))


SERVICES: Final = {
    service.name: service
    for service in (
        Service(
            "stock_basic",
            _columns(_STOCK_BASIC),
            frozenset({"fullname", "enname", "exchange", "curr_type", "list_status", "delist_date", "is_hs"}),
        ),
        Service("trade_cal", ("exchange", "cal_date", "is_open", "pretrade_date")),
        Service("daily", _columns(_DAILY), points=120, cap=6000, ready="16:00"),
        Service("adj_factor", ("ts_code", "trade_date", "adj_factor"), cap=6000, ready="09:20"),
        Service("daily_basic", _columns(_DAILY_BASIC), cap=6000, needs=("ts_code", "trade_date"), ready="17:00"),
        Service(
            "suspend_d",
            ("ts_code", "trade_date", "suspend_timing", "suspend_type"),
            points=120,
            cap=5000,
            ready="09:00",
        ),
        Service("fina_indicator", _columns(_FINANCE), _hidden(_FINANCE), cap=100, needs=("ts_code",)),
        Service("fina_indicator_vip", _columns(_FINANCE), _hidden(_FINANCE), points=5000, cap=12_000),
        Service(
            "disclosure_date",
            ("ts_code", "ann_date", "end_date", "pre_date", "actual_date", "modify_date"),
            frozenset({"modify_date"}),
            points=500,
            cap=3000,
        ),
    )
}
"""Every interface of the made-up server by its name."""


def compact(day: date) -> str:
    """Return the day as the source writes it: 20240105."""
    return f"{day:%Y%m%d}"
