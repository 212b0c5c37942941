"""The rules of quality on what is in the store: reads it and hands it to the validator. Nothing is written."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from stock_assets.domain.calendar import FIRST_SESSION, TradingCalendar
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY, TRADING_DAY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.pipeline.technical_check import compare_recomputed
from stock_assets.pipeline.technical_context import TechnicalContext
from stock_assets.quality.catalog import datasets as datasets_of_rules
from stock_assets.quality.findings import STORED_FINDING_SCHEMA
from stock_assets.quality.technical_rules import JUDGED_COLUMNS
from stock_assets.quality.validator import Evidence, validate, worst_first
from stock_assets.storage import bars, finance, ledger, reference, technicals
from stock_assets.storage.database import Connection, Database
from stock_assets.storage.reader import Reader

# Bars that are in memory together: 60 sessions of a whole market, or 20 years of seventy stocks.
_ROWS_AT_ONCE: Final = 350_000
_WHOLE_MARKET: Final = 5_800
_SAMPLED: Final = 20
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Store:
    """What holds for every day: where from, whose, which datasets, and what the ledger says of factors."""

    conn: Connection
    calendar: TradingCalendar
    securities: pl.DataFrame
    trading_days: pl.DataFrame
    datasets: frozenset[str]
    ts_codes: Sequence[str] | None
    factor_days: frozenset[date]


def judge_stored(  # noqa: PLR0913  each narrows what is judged
    database: Database,
    calendar: TradingCalendar,
    days: Sequence[date],
    *,
    ts_codes: Sequence[str] | None = None,
    datasets: Collection[str] | None = None,
    sample: TechnicalContext | None = None,
) -> pl.DataFrame:
    """Return what the rules find on what is stored of `days`, of these stocks or (None) of all.

    STORED_FINDING_SCHEMA, the worst first, then by day and stock. Days without sessions are judged with the session after
    them: nothing should be dated on them. Nothing is said of what is not loaded. `datasets` (None is all) are those whose rules are
    asked; with `sample`, some stocks' indicators of the newest day are also computed again from their first bar on.
    """
    asked = sorted(set(days))
    wanted = frozenset(datasets_of_rules() if datasets is None else datasets)
    found = [pl.DataFrame(schema=STORED_FINDING_SCHEMA)]
    if not asked:
        return found[0]
    with database.read() as conn, Reader(database).snapshot() as session:
        store = _Store(
            conn,
            calendar,
            reference.read_securities(conn),
            reference.read_trading_days(conn),
            wanted,
            ts_codes,
            frozenset(ledger.closing_sources(conn, ADJUST_FACTOR.name, FIRST_SESSION, asked[-1])),
        )
        for block in _blocks(asked, len(ts_codes) if ts_codes is not None else _WHOLE_MARKET):
            rows = None
            if TECHNICAL_DAILY.name in wanted:
                first, last = block[0], block[-1]
                rows = technicals.columns_between(session, TECHNICAL_DAILY, JUDGED_COLUMNS, first, last, ts_codes)
            found.append(validate(_evidence(store, block, rows)))
    if sample is not None and TECHNICAL_DAILY.name in wanted:
        found.append(_recomputed(sample, asked[-1], store.securities, ts_codes, calendar))
    told = pl.concat(found)
    return worst_first(told.filter(pl.col("dataset").is_in(list(wanted))))


def _blocks(days: Sequence[date], stocks: int) -> Iterator[Sequence[date]]:
    most = max(1, _ROWS_AT_ONCE // max(stocks, 1))
    for first in range(0, len(days), most):
        yield days[first : first + most]


def _evidence(store: _Store, days: Sequence[date], indicators: pl.DataFrame | None) -> Evidence:
    conn, calendar, wanted = store.conn, store.calendar, store.datasets
    before = calendar.previous(days[0]) or days[0] - _ONE_DAY
    judged = _with_closed_days(calendar, days)
    # Factors are judged by bars, and bars and indicators by each other.
    needs_bars = bool(wanted & {STOCK_DAILY.name, ADJUST_FACTOR.name, TECHNICAL_DAILY.name})
    needs_factors = bool(wanted & {STOCK_DAILY.name, ADJUST_FACTOR.name})
    return Evidence(
        days=judged,
        calendar=calendar,
        securities=store.securities,
        bars=bars.read_bars(conn, store.ts_codes, before, days[-1]) if needs_bars else None,
        factors=bars.read_factors(conn, store.ts_codes, None, days[-1]) if needs_factors else None,
        factor_days=store.factor_days,
        factors_from=_whole_from(calendar, store.factor_days, days[-1]),
        technicals=indicators,
        reports=finance.announced(conn, judged[0], days[-1], store.ts_codes)
        if FINANCE_INDICATOR.name in wanted
        else None,
        trading_days=store.trading_days.filter(pl.col("trade_date").is_between(before, days[-1]))
        if TRADING_DAY.name in wanted
        else None,
    )


def _with_closed_days(calendar: TradingCalendar, days: Sequence[date]) -> list[date]:
    """Return the days, each with the closed ones since the session before it."""
    found: set[date] = set()
    for day in days:
        begin = (calendar.previous(day) or day - _ONE_DAY) + _ONE_DAY
        found.update(begin + timedelta(days=number) for number in range((day - begin).days + 1))
    return sorted(found)


def _whole_from(calendar: TradingCalendar, closed: Collection[date], last: date) -> date | None:
    """Return the first session from which on, up to `last`, all are closed; None where `last` is not."""
    whole: date | None = None
    for day in reversed(calendar.between(FIRST_SESSION, last)):
        if day not in closed:
            break
        whole = day
    return whole


def _recomputed(
    context: TechnicalContext,
    day: date,
    securities: pl.DataFrame,
    ts_codes: Sequence[str] | None,
    calendar: TradingCalendar,
) -> pl.DataFrame:
    """Return findings on a sample of the stocks: another one each day, the same one each time."""
    listed = securities["ts_code"].to_list() if ts_codes is None else list(ts_codes)
    chosen = sorted(listed, key=lambda code: hashlib.sha256(f"{day} {code}".encode()).digest())[:_SAMPLED]
    found = compare_recomputed(context, [day], ts_codes=sorted(chosen))
    return validate(Evidence(days=[day], calendar=calendar, securities=securities, recomputed=found.worst))
