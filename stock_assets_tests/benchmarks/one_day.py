"""One market day into a table of many millions: new, and the same again, beside the usual batches.

The time is the database's part: from the conformed frame to the commit. It should not depend on the size of the table.
"""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import click

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage.bulk_load import load
from stock_assets.storage.full_load import load_whole
from stock_assets.storage.layout import layout_of
from stock_assets_tests.benchmarks.loads import batches
from stock_assets_tests.benchmarks.made_up_bars import bars, codes, market_days, sessions
from stock_assets_tests.benchmarks.stores import checkpoint, store

_STOCKS = 5_400


@click.command()
@click.option("--millions", default="1,5,15", show_default=True, help="sizes of the table, rising")
@click.option("--times", default=7, show_default=True, help="days measured at each size; medians are printed")
@click.option("--usual/--no-usual", default=True, help="measure the usual batches, which take seconds a day")
@click.option("--url", help="an empty database; an embedded server by default")
def one_day(millions: str, times: int, url: str | None, *, usual: bool) -> None:
    """Print the medians at each size."""
    sizes = [int(size) for size in millions.split(",")]
    days = sessions(max(sizes) * 1_000_000 // _STOCKS + len(sizes) * (2 * times + 2))
    held = 0
    with store(url) as database:
        address = database.engine.url.render_as_string(hide_password=False)
        with database.read() as conn:
            if usual and layout_of(conn, STOCK_DAILY.name) == "hypertable":
                click.echo("the usual batches know no packed rows and are left out")
                usual = False
        for size in sizes:
            until = size * 1_000_000 // _STOCKS
            chunks = [days[first : min(first + 50, until)] for first in range(held, until, 50)]
            frames = (bars(codes(_STOCKS), chunk, seed=first) for first, chunk in enumerate(chunks))
            load_whole(
                database, STOCK_DAILY, frames, rows=(until - held) * _STOCKS, run_id="fill", now=datetime.now(UTC)
            )
            checkpoint(database)
            held = until
            seconds: dict[str, list[float]] = {"new": [], "again": [], "usual new": [], "usual again": []}

            def measure(name: str, work: Callable[[], object], into: dict[str, list[float]] = seconds) -> None:
                started = time.perf_counter()
                work()
                into[name].append(time.perf_counter() - started)

            fresh = list(market_days(_STOCKS, days[held : held + 2 * times + 1]))
            held += 2 * times + 1

            def write(frame: object = None, *, is_new: bool) -> None:
                with database.begin() as conn:
                    load(conn, STOCK_DAILY, frame, is_new=is_new, run_id="run")  # pyright: ignore[reportArgumentType]

            write(fresh.pop(), is_new=True)
            for frame in fresh[:times]:
                measure("new", lambda frame=frame: write(frame, is_new=True))
            for frame in fresh[:times]:
                measure("again", lambda frame=frame: write(frame, is_new=False))
            for frame in fresh[times : times + 2] if usual else []:
                seconds["usual new"].append(batches(frame, address))
                seconds["usual again"].append(batches(frame, address))
            medians = {name: statistics.median(values) * 1000 for name, values in seconds.items() if values}
            click.echo(f"{size} M rows: " + ", ".join(f"{name} {value:,.0f} ms" for name, value in medians.items()))


if __name__ == "__main__":
    one_day()
