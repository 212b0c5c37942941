"""The by-code plan of one day: a log-in for every stock, one session, five sessions; and the by-day plan beside it.

Measured on a part of the market, stock by stock through the wire, and scaled to the whole: each stock costs the same.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import click

from stock_assets.domain.answers import Answer, Rows
from stock_assets.logs.setup import configure_logging
from stock_assets.settings import Settings
from stock_assets.sources.baostock.client import BaoStockClient, connector
from stock_assets.sources.baostock.pool import BaoStockPool
from stock_assets.wiring import Installation
from stock_assets_tests.benchmarks.far_end import simulated_source

WHOLE_MARKET = 8000


@click.command()
@click.option("--measured", default=200, show_default=True, help="stocks asked one by one")
@click.option("--latency", default=80.0, show_default=True, help="milliseconds before each answer")
def pools(measured: int, latency: float) -> None:
    """Print seconds for each way of fetching one day."""
    configure_logging("ERROR")
    home = Path(tempfile.mkdtemp(prefix="stock-assets-bench-"))
    os.environ["STOCK_ASSETS_HOME"] = str(home)
    with Installation(Settings()) as installation:
        day = installation.last_final()
    with simulated_source(home, stocks=9200, latency_ms=latency) as address:
        host, port = address["BAOSTOCK_HOST"], int(address["BAOSTOCK_PORT"])
        single = BaoStockClient(host=host, port=port)
        securities = single.securities()
        assert isinstance(securities, Rows)
        frame = single.translate_securities(securities.frame)
        listed = frame.filter((frame["list_date"] < day - timedelta(days=400)) & frame["delist_date"].is_null())
        codes = listed["ts_code"].to_list()[:measured]
        print(
            f"| plan of {day} | s for {measured} stocks | s a stock | scaled to {WHOLE_MARKET} stocks | against a log-in a call |"
        )
        print("|---|---|---|---|---|")
        baseline = _row("a log-in for every stock", codes, _ask(single, day), 1, None)
        for size in (1, 5):
            pool = BaoStockPool(connector(host=host, port=port), size=size)
            _row(f"pool of {size}", codes, _ask(BaoStockClient(pool), day), size, baseline)
            pool.close()
        pool = BaoStockPool(connector(host=host, port=port))
        client = BaoStockClient(pool)
        began = time.perf_counter()
        answer = client.daily_of_day(day)
        assert isinstance(answer, Rows)
        seconds = time.perf_counter() - began
        scaled = baseline * WHOLE_MARKET
        print(
            f"| whole day, one request | {seconds:.2f} ({answer.frame.height:,} rows) | | {seconds:.2f} s | {scaled / seconds:,.0f}x |"
        )
        pool.close()


def _ask(client: BaoStockClient, day: date) -> Callable[[str], Answer]:
    return lambda code: client.daily_of_code(code, day, day)


def _row(name: str, codes: Sequence[str], ask: Callable[[str], Answer], workers: int, baseline: float | None) -> float:
    """Measure one way, print its row, and return its seconds a stock."""
    began = time.perf_counter()
    with ThreadPoolExecutor(workers) as threads:
        answers = list(threads.map(ask, codes))
    seconds = time.perf_counter() - began
    assert all(isinstance(answer, Rows) for answer in answers)
    each = seconds / len(codes)
    against = "1x" if baseline is None else f"{baseline / each:.1f}x"
    print(f"| {name} | {seconds:.1f} | {each:.3f} | {each * WHOLE_MARKET / 60:.1f} min | {against} |")
    return each


if __name__ == "__main__":
    pools()
