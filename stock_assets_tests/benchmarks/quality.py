"""The rules of quality over a store: one day of a whole market, a month of it, and twenty years of some stocks in memory."""

from time import perf_counter, process_time

import click
import structlog

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.pipeline.stored_quality import judge_stored
from stock_assets.pipeline.technical_context import TechnicalContext
from stock_assets.quality.validator import Evidence, validate
from stock_assets.storage import reference
from stock_assets_tests.benchmarks.made_up_bars import UPDATED_AT, bars, codes, sessions
from stock_assets_tests.benchmarks.stores import checkpoint, store
from stock_assets_tests.benchmarks.technicals import fill

_YEARS, _SESSIONS_A_YEAR = 20, 243


@click.command()
@click.option("--stocks", default=5_800, show_default=True)
@click.option("--days", default=40, show_default=True)
@click.option("--set", "chosen", default=300, show_default=True, help="stocks of the twenty years")
@click.option("--database", "url", help="an empty database; a server of its own by default")
def quality(stocks: int, days: int, chosen: int, url: str | None) -> None:
    """Print what judging takes; made-up amounts break rules here and there, so that findings are written too."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    known = sessions(days)
    calendar = TradingCalendar.of(known)
    print("| what | bars | findings | s | CPU s |\n|---|---|---|---|---|", flush=True)
    with store(url) as database:
        fill(database, stocks, known)
        context = TechnicalContext(database=database, calendar=calendar, now=lambda: UPDATED_AT)
        compute_technicals(context, known)
        checkpoint(database)
        for name, asked, sample in (
            ("one day", known[-1:], None),
            ("one day again", known[-1:], None),
            ("one day, with a sample computed again", known[-1:], context),
            ("twenty days", known[-20:], None),
        ):
            started, spent = perf_counter(), process_time()
            found = judge_stored(database, calendar, asked, sample=sample)
            seconds, spent = perf_counter() - started, process_time() - spent
            print(f"| {name} | {stocks * len(asked):,} | {found.height:,} | {seconds:.2f} | {spent:.2f} |", flush=True)
        with database.read() as conn:
            securities = reference.read_securities(conn)
    long = sessions(_YEARS * _SESSIONS_A_YEAR)
    rows = bars(codes(chosen), long)
    started, spent = perf_counter(), process_time()
    found = validate(
        Evidence(days=long, calendar=TradingCalendar.of(long), securities=securities, bars=rows, factor_days=long)
    )
    seconds, spent = perf_counter() - started, process_time() - spent
    print(
        f"| {_YEARS} years of {chosen} stocks, in memory | {rows.height:,} | {found.height:,} | {seconds:.2f} | {spent:.2f} |"
    )


if __name__ == "__main__":
    quality()
