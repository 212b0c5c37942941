"""A small market without a fault, in the shape of the store: bars, factors, indicators, reports and calendar."""

import random
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.codes import board_of
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.price_limits import with_listed_sessions, with_price_limits
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.indicators.frames import with_technicals
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.quality.technical_rules import JUDGED_COLUMNS
from stock_assets.quality.validator import Evidence, validate

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LAST = date(2026, 11, 20)
SESSIONS = [day for day in (LAST - timedelta(days=back) for back in range(399, -1, -1)) if day.weekday() < 5]
DAYS = SESSIONS[-20:]
EX_DATE = DAYS[10]
LISTED_ON = DAYS[5]
STOCKS = {
    "600000.SH": 10.0,
    "000001.SZ": 20.0,
    "300750.SZ": 55.5,
    "688001.SH": 102.3,
    "920001.BJ": 8.88,
    "600002.SH": 3.21,
    "001999.SZ": 15.0,
    "600003.SH": 6.0,
}
SUSPENDED, NEW, WARNED = "600003.SH", "001999.SZ", "600002.SH"
EX_STOCKS = {"000001.SZ": 0.5, "300750.SZ": 1.2}
CALENDAR = TradingCalendar.of(SESSIONS, known_until=LAST)
_REPORT = {
    "grossprofit_margin": 40.0, "cogs_of_sales": 60.0, "ca_to_assets": 55.0, "nca_to_assets": 45.0,
    "currentdebt_to_debt": 80.0, "longdeb_to_debt": 20.0, "debt_to_assets": 60.0, "assets_to_eqt": 2.5, "debt_to_eqt": 1.5,
    "retainedps": 5.0, "surplus_rese_ps": 1.0, "undist_profit_ps": 4.0, "retained_earnings": 5e9, "ebit": 2e9, "ebit_ps": 2.0,
    "ebit_of_gr": 20.0, "total_revenue_ps": 10.0, "current_ratio": 2.0, "quick_ratio": 1.5, "cash_ratio": 0.5, "eps": 1.5,
}  # fmt: skip


@dataclass(frozen=True)
class Market:
    """The frames of one store; a fault is planted into a copy of it."""

    securities: pl.DataFrame
    bars: pl.DataFrame
    factors: pl.DataFrame
    technicals: pl.DataFrame
    reports: pl.DataFrame
    trading_days: pl.DataFrame
    recomputed: pl.DataFrame | None = None

    def findings(self) -> pl.DataFrame:
        """What the validator says of the last twenty sessions and the closed days between."""
        days = [DAYS[0] + timedelta(days=number) for number in range((LAST - DAYS[0]).days + 1)]
        return validate(
            Evidence(
                days=days,
                calendar=CALENDAR,
                securities=self.securities,
                bars=self.bars.filter(pl.col("trade_date") >= SESSIONS[-21]),
                factors=self.factors,
                factor_days=SESSIONS,
                factors_from=SESSIONS[0],
                technicals=self.technicals.filter(pl.col("trade_date") >= DAYS[0]),
                recomputed=self.recomputed,
                reports=self.reports,
                trading_days=self.trading_days,
            )
        )

    def bar(self, code: str, day: date) -> dict[str, Any]:
        """One bar."""
        return self.bars.row(by_predicate=_at(code, day), named=True)

    def change_bar(self, code: str, day: date, **values: object) -> Self:
        """Other values in one bar."""
        return replace(self, bars=_changed(self.bars, _at(code, day), values))

    def scale_bar(self, code: str, day: date, **factors: float) -> Self:
        """Values of one bar multiplied."""
        bar = self.bar(code, day)
        scaled = {name: type(bar[name])(bar[name] * factor) for name, factor in factors.items()}
        return self.change_bar(code, day, **scaled)

    def add_bar(self, like: tuple[str, date], **values: object) -> Self:
        """A copy of one bar with other values."""
        row = self.bar(*like) | values
        return replace(self, bars=pl.concat([self.bars, pl.DataFrame([row], schema=self.bars.schema)]))

    def drop_bar(self, code: str, day: date) -> Self:
        """Without one bar, and without its indicators."""
        return replace(self, bars=self.bars.filter(~_at(code, day)), technicals=self.technicals.filter(~_at(code, day)))

    def change_factor(self, code: str, day: date, times: float) -> Self:
        """One factor multiplied."""
        at = (pl.col("ts_code") == code) & (pl.col("ex_date") == day)
        factor = pl.when(at).then(pl.col("back_adjust_factor") * times).otherwise("back_adjust_factor")
        return replace(self, factors=self.factors.with_columns(factor.round(6).alias("back_adjust_factor")))

    def add_factor(self, code: str, day: date, factor: float) -> Self:
        """One factor more."""
        row = pl.DataFrame([(code, day, factor)], schema=self.factors.schema, orient="row")
        return replace(self, factors=pl.concat([self.factors, row]))

    def drop_factor(self, code: str, day: date) -> Self:
        """One factor less."""
        return replace(self, factors=self.factors.filter((pl.col("ts_code") != code) | (pl.col("ex_date") != day)))

    def change_indicator(self, code: str, day: date, **values: object) -> Self:
        """Other values in one row of indicators."""
        return replace(self, technicals=_changed(self.technicals, _at(code, day), values))

    def move_indicator(self, code: str, day: date, **offsets: float) -> Self:
        """Values of one row of indicators moved."""
        row = self.technicals.row(by_predicate=_at(code, day), named=True)
        return self.change_indicator(code, day, **{name: row[name] + offset for name, offset in offsets.items()})

    def add_indicator(self, like: tuple[str, date], **values: object) -> Self:
        """A copy of one row of indicators with other values."""
        row = self.technicals.row(by_predicate=_at(*like), named=True) | values
        return replace(
            self, technicals=pl.concat([self.technicals, pl.DataFrame([row], schema=self.technicals.schema)])
        )

    def change_report(self, **values: object) -> Self:
        """Other values in the report."""
        return replace(self, reports=_changed(self.reports, pl.lit(value=True), values))

    def change_day(self, day: date, **values: object) -> Self:
        """Other values in one line of the calendar."""
        return replace(self, trading_days=_changed(self.trading_days, pl.col("trade_date") == day, values))


def made_up_market() -> Market:
    """Eight stocks of every board over 286 weekdays: an ex-date of two, one suspended at the end, one new, one ST."""
    securities = _securities()
    bars, factors = _bars()
    return Market(
        securities=securities,
        bars=bars,
        factors=factors,
        technicals=_technicals(bars, securities),
        reports=_reports(),
        trading_days=_trading_days(),
    )


def _at(code: str, day: date) -> pl.Expr:
    return (pl.col("ts_code") == code) & (pl.col("trade_date") == day)


def _changed(frame: pl.DataFrame, at: pl.Expr, values: dict[str, object]) -> pl.DataFrame:
    assert frame.filter(at).height == 1
    return frame.with_columns(
        pl.when(at).then(pl.lit(value, dtype=frame.schema[name])).otherwise(name).alias(name)
        for name, value in values.items()
    )


def _securities() -> pl.DataFrame:
    rows = [
        (code, board_of(code), LISTED_ON if code == NEW else SESSIONS[0] - timedelta(days=1000), None)
        for code in STOCKS
    ]
    schema = {"ts_code": pl.String, "board": pl.String, "list_date": pl.Date, "delist_date": pl.Date}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _bars() -> tuple[pl.DataFrame, pl.DataFrame]:
    dice = random.Random(20261120)  # noqa: S311  a made-up market
    rows: list[dict[str, Any]] = []
    factors: list[tuple[str, date, float]] = []
    for code, begin in STOCKS.items():
        close, factor = begin, 1.0
        floating = 200_000_000 + 7_000_000 * len(code)
        for day in SESSIONS:
            if code == NEW and day < LISTED_ON:
                continue
            pre_close = close
            if code in EX_STOCKS and day in {EX_DATE, SESSIONS[100]}:
                pre_close = round(close - EX_STOCKS[code], 2)
                factor = round(factor * close / pre_close, 6)
                factors.append((code, day, factor))
            is_suspended = code == SUSPENDED and day >= DAYS[3]
            opened, close = (round(pre_close * (1 + dice.uniform(-0.02, 0.02)), 2) for _ in range(2))
            if is_suspended:
                opened = close = pre_close
            high, low = max(opened, close), min(opened, close)
            if not is_suspended:
                high, low = round(high + 0.05, 2), round(low - 0.05, 2)
            volume = 0 if is_suspended else dice.randrange(2_000_000, 4_000_000)
            rows.append(
                {
                    "ts_code": code, "trade_date": day, "open": opened, "high": high, "low": low, "close": close,
                    "pre_close": pre_close, "volume": volume, "amount": float(round(volume * (high + low) / 2)),
                    "turnover_rate": None if is_suspended else round(volume / floating * 100, 4),
                    "pct_chg": round((close / pre_close - 1) * 100, 6), "is_suspended": is_suspended, "is_st": code == WARNED,
                    "pe_ttm": 9.5, "pb_mrq": 1.1, "ps_ttm": 2.0, "pcf_ncf_ttm": None, "source": "made up", "updated_at": NOW,
                }
            )  # fmt: skip
    schema = {"ts_code": pl.String, "ex_date": pl.Date, "back_adjust_factor": pl.Float64}
    return pl.DataFrame(rows, schema=STOCK_DAILY.schema), pl.DataFrame(factors, schema=schema, orient="row")


def _technicals(bars: pl.DataFrame, securities: pl.DataFrame) -> pl.DataFrame:
    limits = {"limit_up_price", "limit_down_price", "is_limit_up", "is_limit_down"}
    names = [name for name in JUDGED_COLUMNS if name not in {"ts_code", "trade_date", *limits}]
    computed = with_technicals(bars.filter(~pl.col("is_suspended")), names)
    facts = computed.join(securities, on="ts_code", maintain_order="left")
    found = with_price_limits(with_listed_sessions(facts, SESSIONS)).select(JUDGED_COLUMNS)
    return found.cast({name: TECHNICAL_DAILY.schema[name] for name in found.columns})  # pyright: ignore[reportArgumentType]


def _reports() -> pl.DataFrame:
    row: dict[str, Any] = {
        "ts_code": "600000.SH", "end_date": date(2026, 9, 30), "ann_date": DAYS[15], "version": 1, "known_from": DAYS[16],
        "ann_date_basis": "stated", "is_chosen": True, "source": "made up", "fetched_at": NOW, **_REPORT,
    }  # fmt: skip
    return FINANCE_INDICATOR.conform(pl.DataFrame([row], schema=FINANCE_INDICATOR.schema))


def _trading_days() -> pl.DataFrame:
    first = SESSIONS[0]
    days = [first + timedelta(days=number) for number in range((LAST - first).days + 1)]
    opened = set(SESSIONS)
    rows = [(day, day in opened, CALENDAR.previous(day), day in opened, True) for day in days]
    schema = {
        "trade_date": pl.Date, "is_open": pl.Boolean, "previous_open": pl.Date, "source_is_open": pl.Boolean,
        "sources_agree": pl.Boolean,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")
