"""The figures of made-up finance reports: all 164 numbers of fina_indicator from a few flows and stocks of money.

Seven more are for BaoStock's tables alone.

Every number follows from the same made-up accounts, so that they fit together: shares of assets add up, margins are
profits over revenue, growth compares with the year before. Ratios are in percent where the source's are, money in yuan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from stock_assets.simulator.randomness import Floats, Ints, Randomness

_SIZE, _GROWTH, _MARGIN, _SPEND, _NOISE, _TAX, _CASH, _DEBT, _MIX, _SHARES, _REVISED, _BANK = range(81, 93)
_START: Final = 1998 * 4
_SEASONS: Final = np.array([0.85, 1.0, 1.0, 1.15])
_BANK_SHARE: Final = 0.03
_NOTHING_FOR_BANKS: Final = (
    "gross_margin", "current_ratio", "quick_ratio", "cash_ratio", "invturn_days", "arturn_days", "inv_turn",
    "ar_turn", "ca_turn", "fa_turn", "ebit", "ebitda", "fcff", "fcfe", "current_exint", "noncurrent_exint",
    "interestdebt", "netdebt", "tangible_asset", "working_capital", "networking_capital", "ebit_ps", "fcff_ps",
    "fcfe_ps", "grossprofit_margin", "cogs_of_sales", "gc_of_gr", "ebit_of_gr", "roic", "ca_to_assets",
    "nca_to_assets", "currentdebt_to_debt", "longdeb_to_debt", "q_gsprofit_margin", "turn_days",
)  # fmt: skip
_HALF_YEARLY: Final = ("daa", "ebitda", "ebitda_to_debt", "capitalized_to_da")


@dataclass(slots=True)
class _Flows:
    """Money that flowed in a quarter, or from the year's beginning on."""

    revenue: Floats
    cost: Floats
    selling: Floats
    admin: Floats
    finance: Floats
    research: Floats
    impaired: Floats
    invested: Floats
    beside: Floats
    tax: Floats
    depreciation: Floats
    received: Floats
    operating_cash: Floats
    net_cash: Floats
    capital_spent: Floats

    def __add__(self, other: _Flows) -> _Flows:
        return _Flows(*(mine + theirs for mine, theirs in zip(_parts(self), _parts(other), strict=True)))

    def times(self, factor: Floats) -> _Flows:
        return _Flows(*(mine * factor for mine in _parts(self)))

    @property
    def total_revenue(self) -> Floats:
        return self.revenue * 1.002

    @property
    def gross(self) -> Floats:
        return self.revenue - self.cost

    @property
    def expenses(self) -> Floats:
        return self.selling + self.admin + self.finance

    @property
    def total_cost(self) -> Floats:
        return self.cost + self.expenses + self.research + self.impaired

    @property
    def activity(self) -> Floats:
        """Net income from activities: before gains of value."""
        return self.total_revenue - self.total_cost

    @property
    def operating(self) -> Floats:
        return self.activity + self.invested

    @property
    def before_tax(self) -> Floats:
        return self.operating + self.beside

    @property
    def net(self) -> Floats:
        return self.before_tax - self.tax

    @property
    def owners(self) -> Floats:
        return self.net * 0.97

    @property
    def unusual(self) -> Floats:
        return self.beside * 0.8 + self.invested * 0.1

    @property
    def usual(self) -> Floats:
        return self.owners - self.unusual

    @property
    def before_interest(self) -> Floats:
        return self.before_tax + self.finance


def _parts(flows: _Flows) -> list[Floats]:
    return [getattr(flows, name) for name in _Flows.__dataclass_fields__]


@dataclass(slots=True)
class _Stocks:
    """Money that is there at a quarter's end."""

    assets: Floats
    current: Floats
    cash: Floats
    inventory: Floats
    receivable: Floats
    fixed: Floats
    equity: Floats
    minority: Floats
    current_debt: Floats
    long_debt: Floats
    interest_debt: Floats
    tangible: Floats

    @property
    def debt(self) -> Floats:
        return self.current_debt + self.long_debt

    @property
    def invested(self) -> Floats:
        return self.equity + self.minority + self.interest_debt


class Figures:
    """Looks the accounts of any company and quarter up; arrays in, arrays of the same length out."""

    def __init__(self, random: Randomness) -> None:
        self._random = random

    def of(self, owner: Ints, quarter: Ints, edition: Ints) -> dict[str, Floats]:
        """Return each number of a report, NaN where there is none; a later edition has other flows."""
        revised = np.where(edition > 0, 1.0 + 0.06 * self._random.signed(_REVISED, owner, quarter * 4 + edition), 1.0)
        singles = [self._flows(owner, quarter - back) for back in range(8)]
        year = self._since_new_year(singles[:4], quarter).times(revised)
        year_before = self._since_new_year(singles[4:], quarter)
        now, single = self._stocks(owner, quarter), singles[0].times(revised)
        more = now.equity * (revised - 1.0) / 2
        now.equity, now.assets, now.current = now.equity + more, now.assets + more, now.current + more
        begin, year_ago = self._stocks(owner, quarter - quarter % 4 - 1), self._stocks(owner, quarter - 4)
        shares = np.floor(self._size(owner) * (0.8 + 2.5 * self._random.uniform(_SHARES, owner)))
        with np.errstate(divide="ignore", invalid="ignore"):
            values = {
                **_amounts(year, now),
                **_per_share(year, now, shares),
                **_margins(year, now, begin, quarter),
                **_structure(year, now),
                **_turnover(year, now, begin, quarter),
                **_single_quarter(single, now, shares),
                **_growth(year, year_before, now, year_ago, begin),
                **_quarterly_growth(single, singles[4], singles[1]),
                **_beyond(year, year_before, now, year_ago, shares),
                "eps_ttm": sum(one.owners for one in singles[:4]) / shares,
            }
        is_bank = self._random.uniform(_BANK, owner) < _BANK_SHARE
        is_short = quarter % 2 == 0
        for name in _NOTHING_FOR_BANKS:
            values[name] = np.where(is_bank, np.nan, values[name])
        for name in _HALF_YEARLY:
            values[name] = np.where(is_short, np.nan, values[name])
        return {
            name: np.where(np.isfinite(value), np.round(value, _decimals(name)), np.nan)
            for name, value in values.items()
        }

    def _since_new_year(self, singles: list[_Flows], quarter: Ints) -> _Flows:
        total = singles[0]
        for back in (1, 2, 3):
            total += singles[back].times((quarter % 4 >= back).astype(np.float64))
        return total

    def _size(self, owner: Ints) -> Floats:
        """Return what a company sold in its first quarter."""
        return 10.0 ** (7.4 + 2.2 * self._random.uniform(_SIZE, owner))

    def _flows(self, owner: Ints, quarter: Ints) -> _Flows:
        random = self._random
        age = (quarter - _START).astype(np.float64)
        growth = 0.004 + 0.022 * random.uniform(_GROWTH, owner)
        size = self._size(owner)
        surprise = np.exp(0.08 * random.bell(_NOISE, owner, quarter))
        revenue = size * np.exp(growth * age) * _SEASONS[quarter % 4] * surprise
        margin = 0.18 + 0.4 * random.uniform(_MARGIN, owner) + 0.03 * random.bell(_MARGIN, owner, quarter)
        selling, admin, finance, research = (
            revenue * (low + range_ * random.uniform(_SPEND, owner, place))
            for place, (low, range_) in enumerate(((0.01, 0.08), (0.02, 0.06), (0.003, 0.015), (0.0, 0.05)))
        )
        impaired = revenue * 0.01 * random.uniform(_SPEND, owner, quarter + 10)
        invested = revenue * 0.01 * random.bell(_SPEND, owner, quarter + 100_000)
        beside = revenue * 0.006 * random.bell(_SPEND, owner, quarter + 200_000)
        cost = revenue * (1.0 - margin)
        profit = revenue * 1.002 - cost - selling - admin - finance - research - impaired + invested + beside
        depreciation = revenue * 0.045
        return _Flows(
            revenue=revenue,
            cost=cost,
            selling=selling,
            admin=admin,
            finance=finance,
            research=research,
            impaired=impaired,
            invested=invested,
            beside=beside,
            tax=np.maximum(profit, 0.0) * (0.15 + 0.1 * random.uniform(_TAX, owner)),
            depreciation=depreciation,
            received=revenue * (1.0 + 0.06 * random.bell(_CASH, owner, quarter)),
            operating_cash=profit * 0.8 + depreciation + revenue * 0.05 * random.bell(_CASH, owner, quarter + 100_000),
            net_cash=revenue * 0.06 * random.bell(_CASH, owner, quarter + 200_000),
            capital_spent=revenue * 0.07 * (0.5 + random.uniform(_CASH, owner, quarter)),
        )

    def _stocks(self, owner: Ints, quarter: Ints) -> _Stocks:
        random = self._random
        growth = 0.004 + 0.022 * random.uniform(_GROWTH, owner)
        size = self._size(owner) * (5.0 + 4.0 * random.uniform(_MIX, owner))
        assets = size * np.exp(growth * (quarter - _START)) * np.exp(0.03 * random.bell(_MIX, owner, quarter))
        leverage = 0.2 + 0.5 * random.uniform(_DEBT, owner) + 0.015 * random.bell(_DEBT, owner, quarter)
        parts = [random.uniform(_MIX, owner, place + 1) for place in range(6)]
        current = assets * (0.3 + 0.4 * parts[0])
        debt = assets * leverage
        equity = assets - debt
        return _Stocks(
            assets=assets,
            current=current,
            cash=current * (0.15 + 0.3 * parts[1]),
            inventory=current * (0.1 + 0.25 * parts[2]),
            receivable=current * (0.1 + 0.2 * parts[3]),
            fixed=(assets - current) * (0.4 + 0.3 * parts[4]),
            equity=equity * 0.96,
            minority=equity * 0.04,
            current_debt=debt * (0.6 + 0.3 * parts[5]),
            long_debt=debt * (0.4 - 0.3 * parts[5]),
            interest_debt=debt * 0.45,
            tangible=equity * 0.96 - assets * 0.03,
        )


def _decimals(name: str) -> int:
    return 2 if name in _MONEY else 4


_MONEY: Final = (
    "extra_item", "profit_dedt", "gross_margin", "op_income", "valuechange_income", "interst_income", "daa", "ebit",
    "ebitda", "fcff", "fcfe", "current_exint", "noncurrent_exint", "interestdebt", "netdebt", "tangible_asset",
    "working_capital", "networking_capital", "invest_capital", "retained_earnings", "fixed_assets",
    "profit_prefin_exp", "non_op_profit", "q_opincome", "q_investincome", "q_dtprofit", "rd_exp",
)  # fmt: skip


def _amounts(year: _Flows, now: _Stocks) -> dict[str, Floats]:
    free = year.before_interest * 0.78 + year.depreciation - year.capital_spent
    return {
        "extra_item": year.unusual,
        "profit_dedt": year.usual,
        "gross_margin": year.gross,
        "op_income": year.activity,
        "valuechange_income": year.invested,
        "interst_income": year.finance,
        "daa": year.depreciation,
        "ebit": year.before_interest,
        "ebitda": year.before_interest + year.depreciation,
        "fcff": free,
        "fcfe": free - year.finance + now.interest_debt * 0.01,
        "current_exint": now.current_debt * 0.7,
        "noncurrent_exint": now.long_debt * 0.3,
        "interestdebt": now.interest_debt,
        "netdebt": now.interest_debt - now.cash,
        "tangible_asset": now.tangible,
        "working_capital": now.current - now.current_debt,
        "networking_capital": now.current - now.cash - now.current_debt * 0.7,
        "invest_capital": now.invested,
        "retained_earnings": now.equity * 0.45,
        "fixed_assets": now.fixed,
        "profit_prefin_exp": year.operating + year.finance,
        "non_op_profit": year.beside,
        "rd_exp": year.research,
    }


def _per_share(year: _Flows, now: _Stocks, shares: Floats) -> dict[str, Floats]:
    free = year.before_interest * 0.78 + year.depreciation - year.capital_spent
    money = {
        "eps": year.owners,
        "dt_eps": year.owners,
        "total_revenue_ps": year.total_revenue,
        "revenue_ps": year.revenue,
        "capital_rese_ps": now.equity * 0.3,
        "surplus_rese_ps": now.equity * 0.08,
        "undist_profit_ps": now.equity * 0.37,
        "diluted2_eps": year.owners,
        "bps": now.equity,
        "ocfps": year.operating_cash,
        "retainedps": now.equity * 0.45,
        "cfps": year.net_cash,
        "ebit_ps": year.before_interest,
        "fcff_ps": free,
        "fcfe_ps": free - year.finance + now.interest_debt * 0.01,
    }
    return {name: value / shares for name, value in money.items()}


def _margins(year: _Flows, now: _Stocks, begin: _Stocks, quarter: Ints) -> dict[str, Floats]:
    full = 4.0 / (quarter % 4 + 1)
    mean_equity, mean_assets = (now.equity + begin.equity) / 2, (now.assets + begin.assets) / 2
    roe, roa = year.owners / now.equity, year.before_interest / mean_assets
    of_assets, of_capital = year.net / mean_assets, year.before_interest * 0.8 / now.invested
    shares = {
        "netprofit_margin": year.net / year.revenue,
        "grossprofit_margin": year.gross / year.revenue,
        "cogs_of_sales": year.cost / year.revenue,
        "expense_of_sales": year.expenses / year.revenue,
        "profit_to_gr": year.net / year.total_revenue,
        "saleexp_to_gr": year.selling / year.total_revenue,
        "adminexp_of_gr": year.admin / year.total_revenue,
        "finaexp_of_gr": year.finance / year.total_revenue,
        "impai_ttm": year.impaired / year.total_revenue,
        "gc_of_gr": year.total_cost / year.total_revenue,
        "op_of_gr": year.operating / year.total_revenue,
        "ebit_of_gr": year.before_interest / year.total_revenue,
        "roe": roe,
        "roe_waa": year.owners / mean_equity,
        "roe_dt": year.usual / now.equity,
        "roa": roa,
        "npta": of_assets,
        "roic": of_capital,
        "roe_yearly": roe * full,
        "roa2_yearly": roa * full,
        "roe_avg": year.owners / mean_equity,
        "roa_yearly": of_assets * full,
        "roa_dp": of_assets,
        "roic_yearly": of_capital * full,
        "opincome_of_ebt": year.activity / year.before_tax,
        "investincome_of_ebt": year.invested / year.before_tax,
        "n_op_profit_of_ebt": year.beside / year.before_tax,
        "tax_to_ebt": year.tax / year.before_tax,
        "dtprofit_to_profit": year.usual / year.net,
        "salescash_to_or": year.received / year.revenue,
        "ocf_to_or": year.operating_cash / year.revenue,
        "ocf_to_opincome": year.operating_cash / year.activity,
        "capitalized_to_da": year.capital_spent / year.depreciation,
        "op_to_ebt": year.operating / year.before_tax,
        "nop_to_ebt": year.beside / year.before_tax,
        "ocf_to_profit": year.operating_cash / year.operating,
        "profit_to_op": year.before_tax / year.revenue,
    }
    return _percent(shares)


def _structure(year: _Flows, now: _Stocks) -> dict[str, Floats]:
    equity = now.equity + now.minority
    net_debt = now.interest_debt - now.cash
    ebitda = year.before_interest + year.depreciation
    shares = {
        "debt_to_assets": now.debt / now.assets,
        "ca_to_assets": now.current / now.assets,
        "nca_to_assets": (now.assets - now.current) / now.assets,
        "tbassets_to_totalassets": now.tangible / now.assets,
        "int_to_talcap": now.interest_debt / now.invested,
        "eqt_to_talcapital": now.equity / now.invested,
        "currentdebt_to_debt": now.current_debt / now.debt,
        "longdeb_to_debt": now.long_debt / now.debt,
    }
    return {
        **_percent(shares),
        "current_ratio": now.current / now.current_debt,
        "quick_ratio": (now.current - now.inventory) / now.current_debt,
        "cash_ratio": now.cash / now.current_debt,
        "assets_to_eqt": now.assets / equity,
        "dp_assets_to_eqt": now.assets / now.equity,
        "ocf_to_shortdebt": year.operating_cash / now.current_debt,
        "debt_to_eqt": now.debt / now.equity,
        "eqt_to_debt": now.equity / now.debt,
        "eqt_to_interestdebt": now.equity / now.interest_debt,
        "tangibleasset_to_debt": now.tangible / now.debt,
        "tangasset_to_intdebt": now.tangible / now.interest_debt,
        "tangibleasset_to_netdebt": now.tangible / net_debt,
        "ocf_to_debt": year.operating_cash / now.debt,
        "ocf_to_interestdebt": year.operating_cash / now.interest_debt,
        "ocf_to_netdebt": year.operating_cash / net_debt,
        "ebit_to_interest": year.before_interest / year.finance,
        "longdebt_to_workingcapital": now.long_debt / (now.current - now.current_debt),
        "ebitda_to_debt": ebitda / now.debt,
        "cash_to_liqdebt": now.cash / now.current_debt,
        "cash_to_liqdebt_withinterest": now.cash / (now.interest_debt * 0.6),
        "op_to_liqdebt": year.operating / now.current_debt,
        "op_to_debt": year.operating / now.debt,
    }


def _turnover(year: _Flows, now: _Stocks, begin: _Stocks, quarter: Ints) -> dict[str, Floats]:
    days = (quarter % 4 + 1) * 90.0
    inventory = year.cost / ((now.inventory + begin.inventory) / 2)
    receivable = year.revenue / ((now.receivable + begin.receivable) / 2)
    return {
        "inv_turn": inventory,
        "ar_turn": receivable,
        "invturn_days": days / inventory,
        "arturn_days": days / receivable,
        "turn_days": days / inventory + days / receivable,
        "ca_turn": year.total_revenue / ((now.current + begin.current) / 2),
        "fa_turn": year.total_revenue / ((now.fixed + begin.fixed) / 2),
        "total_fa_trun": year.total_revenue / ((now.fixed + begin.fixed) / 2) * 0.9,
        "assets_turn": year.total_revenue / ((now.assets + begin.assets) / 2),
    }


def _single_quarter(quarter: _Flows, now: _Stocks, shares: Floats) -> dict[str, Floats]:
    parts = {
        "q_netprofit_margin": quarter.net / quarter.revenue,
        "q_gsprofit_margin": quarter.gross / quarter.revenue,
        "q_exp_to_sales": quarter.expenses / quarter.revenue,
        "q_profit_to_gr": quarter.net / quarter.total_revenue,
        "q_saleexp_to_gr": quarter.selling / quarter.total_revenue,
        "q_adminexp_to_gr": quarter.admin / quarter.total_revenue,
        "q_finaexp_to_gr": quarter.finance / quarter.total_revenue,
        "q_impair_to_gr_ttm": quarter.impaired / quarter.total_revenue,
        "q_gc_to_gr": quarter.total_cost / quarter.total_revenue,
        "q_op_to_gr": quarter.operating / quarter.total_revenue,
        "q_roe": quarter.owners / now.equity,
        "q_dt_roe": quarter.usual / now.equity,
        "q_npta": quarter.net / now.assets,
        "q_opincome_to_ebt": quarter.activity / quarter.before_tax,
        "q_investincome_to_ebt": quarter.invested / quarter.before_tax,
        "q_dtprofit_to_profit": quarter.usual / quarter.net,
        "q_salescash_to_or": quarter.received / quarter.revenue,
        "q_ocf_to_sales": quarter.operating_cash / quarter.revenue,
        "q_ocf_to_or": quarter.operating_cash / quarter.activity,
    }
    return {
        **_percent(parts),
        "q_opincome": quarter.activity,
        "q_investincome": quarter.invested,
        "q_dtprofit": quarter.usual,
        "q_eps": quarter.owners / shares,
    }


def _growth(year: _Flows, before: _Flows, now: _Stocks, ago: _Stocks, begin: _Stocks) -> dict[str, Floats]:
    return {
        "basic_eps_yoy": _change(year.owners, before.owners),
        "dt_eps_yoy": _change(year.owners, before.owners),
        "cfps_yoy": _change(year.operating_cash, before.operating_cash),
        "op_yoy": _change(year.operating, before.operating),
        "ebt_yoy": _change(year.before_tax, before.before_tax),
        "netprofit_yoy": _change(year.owners, before.owners),
        "dt_netprofit_yoy": _change(year.usual, before.usual),
        "ocf_yoy": _change(year.operating_cash, before.operating_cash),
        "roe_yoy": _change(year.owners / now.equity, before.owners / ago.equity),
        "bps_yoy": _change(now.equity, begin.equity),
        "assets_yoy": _change(now.assets, begin.assets),
        "eqt_yoy": _change(now.equity, begin.equity),
        "tr_yoy": _change(year.total_revenue, before.total_revenue),
        "or_yoy": _change(year.revenue, before.revenue),
        "equity_yoy": _change(now.equity, ago.equity),
    }


def _beyond(year: _Flows, before: _Flows, now: _Stocks, ago: _Stocks, shares: Floats) -> dict[str, Floats]:
    return {
        "net_profit": year.net,
        "revenue": year.revenue,
        "shares": shares,
        "net_on_year": _change(year.net, before.net),
        "assets_on_year": _change(now.assets, ago.assets),
        "debt_on_year": _change(now.debt, ago.debt),
    }


def _quarterly_growth(quarter: _Flows, year_ago: _Flows, before: _Flows) -> dict[str, Floats]:
    grown: dict[str, Floats] = {}
    for name, value in {
        "q_gr": "total_revenue",
        "q_sales": "revenue",
        "q_op": "operating",
        "q_profit": "net",
        "q_netprofit": "owners",
    }.items():
        grown[f"{name}_yoy"] = _change(getattr(quarter, value), getattr(year_ago, value))
        grown[f"{name}_qoq"] = _change(getattr(quarter, value), getattr(before, value))
    return grown


def _percent(shares: dict[str, Floats]) -> dict[str, Floats]:
    return {name: value * 100.0 for name, value in shares.items()}


def _change(value: Floats, before: Floats) -> Floats:
    return (value - before) / np.abs(before) * 100.0
