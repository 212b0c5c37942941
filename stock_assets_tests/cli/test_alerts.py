"""A synchronization that fails tells the address of the settings, once; and whoever starts it, it is one task."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from stock_assets.pipeline.daily_sync import sync_daily
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.storage import sync_tasks
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import Call

TOKEN = "t0ken-of-the-robot"
BY_DAY = "query_daily_history_k_AStock"
WEEK_BEFORE = ("--start", "2026-11-09", "--end", "2026-11-13")


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address on this machine, and what was sent to it."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take the body down."""
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{TOKEN}", got
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("loaded")
def test_a_failed_load_posts_what_happened_once_and_never_shows_the_address(
    new_installation: Callable[..., Installation],
    far_end: BaoStockServer,
    call: Call,
    receiver: tuple[str, list[dict[str, Any]]],
    tmp_path: object,
) -> None:
    url, got = receiver
    new_installation(
        BAOSTOCK_HOST=far_end.host, BAOSTOCK_PORT=str(far_end.port), STOCK_ASSETS_ALERT_URL=url,
        STOCK_ASSETS_HOME=str(tmp_path),
    )  # fmt: skip
    said: list[str] = []
    for _ in range(2):
        far_end.faults = f"error=10004011:{BY_DAY}:1"
        failed = call("backfill-daily", "--start", "2026-11-10", "--end", "2026-11-10")
        assert failed.code == 69
        said.append(failed.everything)
    assert [(body["what"], body["job"], body["items"]) for body in got] == [("failed", "DAILY_HISTORY", ["2026-11-10"])]
    assert got[0]["next"] == "stock-assets failures --job daily_history"
    assert TOKEN not in "".join(said)


@pytest.mark.slow
def test_the_command_line_goes_on_with_the_task_that_python_began(
    loaded: Installation, far_end: BaoStockServer, call: Call
) -> None:
    days = loaded.calendar.between(date(2026, 11, 9), date(2026, 11, 13))
    far_end.faults = ",".join(f"close:{BY_DAY}:{number}" for number in range(2, 60))
    began = sync_daily(loaded.pipeline(), days).outcome.task
    loaded.baostock_pool.release_idle()
    assert (began.status, began.current_offset) == ("FAILED", 1)
    far_end.faults = ""
    assert call("backfill-daily", *WEEK_BEFORE).code == 0
    with loaded.database.read() as conn:
        task = sync_tasks.latest(conn, "DAILY_HISTORY")
    assert task is not None
    assert (task.id, task.status, task.attempts, task.current_offset) == (began.id, "COMPLETED", 2, len(days))
