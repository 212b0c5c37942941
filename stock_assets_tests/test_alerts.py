"""Alerts against a server of this process: who is told what, how often, and what is never told."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog

from stock_assets import alerts
from stock_assets.alerts import AlertHook
from stock_assets.domain.alerts import Alert

TOKEN = "t0ken-of-the-robot"
NOW = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
FAILED = Alert(
    cause="failed", job_type="DAILY_INCREMENTAL", items=("2026-11-20",), zh="未完成", en="did not end", command="look"
)
WAITS = Alert(
    cause="needs_a_person", job_type="DAILY_INCREMENTAL", items=tuple(f"{n:06d}.SZ" for n in range(30)), zh="等人",
    en="waits", command="look",
)  # fmt: skip


@dataclass
class Receiver:
    """What arrived, with the path it was sent to, and how it is answered."""

    url: str = ""
    status: int = 200
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server on this machine."""
    here = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take the body down."""
            content = self.rfile.read(int(self.headers["Content-Length"]))
            here.got.append((self.path, json.loads(content)))
            self.send_response(here.status)
            self.send_header("Location", f"{here.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815  the library's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.url = f"http://127.0.0.1:{server.server_port}/{TOKEN}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield here
    server.shutdown()
    server.server_close()


@pytest.fixture
def clock() -> list[datetime]:
    """The time; a test moves it."""
    return [NOW]


@pytest.fixture
def new_hook(tmp_path: Path, clock: list[datetime]) -> Callable[[str], AlertHook]:
    """Return a function that makes a hook as another process would."""
    return lambda url: AlertHook(url, tmp_path / "state" / "alerts.json", now=lambda: clock[0])


def test_the_body_says_what_happened_and_what_to_do(receiver: Receiver, new_hook: Callable[[str], AlertHook]) -> None:
    new_hook(receiver.url)("DAILY_INCREMENTAL", [FAILED, WAITS])
    (path, failed), (_, waits) = receiver.got
    assert path == f"/{TOKEN}"
    assert failed == {
        "what": "failed",
        "job": "DAILY_INCREMENTAL",
        "items": ["2026-11-20"],
        "items_total": 1,
        "zh": "未完成",
        "en": "did not end",
        "next": "look",
        "at": "2026-11-20T19:00:00+08:00",
    }
    assert (waits["items_total"], len(waits["items"])) == (30, 20)


def test_a_state_that_stays_is_told_once_a_week_and_a_new_one_at_once(
    receiver: Receiver, new_hook: Callable[[str], AlertHook], clock: list[datetime]
) -> None:
    for _ in range(9):
        new_hook(receiver.url)("DAILY_INCREMENTAL", [FAILED])
        clock[0] += timedelta(days=1)
    assert len(receiver.got) == 2
    new_hook(receiver.url)("DAILY_INCREMENTAL", [FAILED, WAITS])
    new_hook(receiver.url)("FINANCE_INCREMENTAL", [FAILED])
    assert len(receiver.got) == 4


def test_what_was_well_in_between_is_told_again(receiver: Receiver, new_hook: Callable[[str], AlertHook]) -> None:
    for told in ([FAILED], [], [FAILED]):
        new_hook(receiver.url)("DAILY_INCREMENTAL", told)
    assert len(receiver.got) == 2


@pytest.mark.parametrize("status", [302, 400, 500])
def test_what_did_not_arrive_is_told_by_the_next_run(
    receiver: Receiver, new_hook: Callable[[str], AlertHook], status: int
) -> None:
    receiver.status = status
    with structlog.testing.capture_logs() as lines:
        new_hook(receiver.url)("DAILY_INCREMENTAL", [FAILED])
    assert [(line["event"], line["reason"]) for line in lines] == [("alert.failed", f"HTTP {status}")]
    # A redirection is not followed.
    assert len(receiver.got) == 1
    receiver.status = 200
    new_hook(receiver.url)("DAILY_INCREMENTAL", [FAILED])
    assert len(receiver.got) == 2


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:1/{TOKEN}",
        f"http://{TOKEN}.invalid/",
        f"http://[{TOKEN}/",
        f"http://a b/{TOKEN}",
        f"file:///etc/{TOKEN}",
        TOKEN,
        "",
    ],
)
def test_an_address_of_no_use_ends_no_run_and_is_not_shown(
    url: str, new_hook: Callable[[str], AlertHook], capsys: pytest.CaptureFixture[str]
) -> None:
    with structlog.testing.capture_logs() as lines:
        new_hook(url)("DAILY_INCREMENTAL", [FAILED])
    assert [line["event"] for line in lines] == ["alert.failed"]
    said = capsys.readouterr()
    assert TOKEN not in str(lines) + said.out + said.err


def test_a_receiver_that_says_nothing_costs_seconds_at_most(
    new_hook: Callable[[str], AlertHook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "_TOTAL_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, structlog.testing.capture_logs() as lines:
        began = time.monotonic()
        new_hook(f"http://127.0.0.1:{silent.getsockname()[1]}/{TOKEN}")("DAILY_INCREMENTAL", [FAILED])
        assert time.monotonic() - began < 2
    assert lines[0]["reason"] == "no answer in time"


@pytest.mark.parametrize(
    "content", ["", "[]", '{"DAILY_INCREMENTAL": 3}', '{"DAILY_INCREMENTAL": {"failed": ["a", 3]}}']
)
def test_a_memory_that_was_spoilt_is_begun_anew(
    content: str, receiver: Receiver, new_hook: Callable[[str], AlertHook], tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "alerts.json").write_text(content, encoding="utf-8")
    new_hook(receiver.url)("DAILY_INCREMENTAL", [FAILED])
    new_hook(receiver.url)("DAILY_INCREMENTAL", [FAILED])
    assert len(receiver.got) == 1
