"""Alerts against a server of this process: who is told what, how often, and what is never told."""

import base64
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import structlog

from stock_assets.alerts import AlertHook, hook
from stock_assets.alerts.forms import form_of, text_of
from stock_assets.domain.alerts import Alert, AlertForm

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
    answer: bytes = b""
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
            self.send_header("Content-Length", str(len(here.answer)))
            self.end_headers()
            self.wfile.write(here.answer)

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
    monkeypatch.setattr(hook, "_TOTAL_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, structlog.testing.capture_logs() as lines:
        began = time.monotonic()
        new_hook(f"http://127.0.0.1:{silent.getsockname()[1]}/{TOKEN}")("DAILY_INCREMENTAL", [FAILED])
        assert time.monotonic() - began < 2
    assert lines[0]["reason"] == "no answer in time"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"told": {}, "waiting": {"run": {"failed": {"items": 3}}}, "sent": []}',
        '{"DAILY_INCREMENTAL": 3}',
        '{"DAILY_INCREMENTAL": {"failed": ["a", 3]}}',
    ],
)
def test_a_memory_that_was_spoilt_is_begun_anew(
    content: str, receiver: Receiver, new_hook: Callable[[str], AlertHook], tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "alerts.json").write_text(content, encoding="utf-8")
    new_hook(receiver.url)("DAILY_INCREMENTAL", [FAILED])
    new_hook(receiver.url)("DAILY_INCREMENTAL", [FAILED])
    assert len(receiver.got) == 1


@pytest.fixture
def told_as(receiver: Receiver, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that tells of a failure in some form and gives back what arrived."""

    def tell(form: AlertForm, secret: str | None = None) -> dict[str, Any]:
        url = f"{receiver.url}?access_token=one"
        AlertHook(url, tmp_path / "alerts.json", now=lambda: NOW, form=form, secret=secret)(
            "DAILY_INCREMENTAL", [WAITS]
        )
        ((path, body),) = receiver.got
        return {"query": dict(parse_qsl(urlsplit(path).query)), **body}

    return tell


TEXT_LINES = (
    "[stock-assets] 等人",
    "Waits",
    "涉及 | about: 000000.SZ, 000001.SZ",
    "(+10)",
    "下一步 | next: look",
    "2026-11-20 19:00（北京时间 | Shanghai time）",
)


def test_feishu_gets_a_text_signed_with_the_secret(told_as: Callable[..., dict[str, Any]]) -> None:
    body = told_as("feishu", "s3cret")
    assert body["msg_type"] == "text"
    assert all(line in body["content"]["text"] for line in TEXT_LINES)
    assert abs(int(body["timestamp"]) - time.time()) < 60
    key = f"{body['timestamp']}\ns3cret".encode()
    assert base64.b64decode(body["sign"]) == hmac.digest(key, b"", "sha256")


def test_feishu_without_a_secret_is_not_signed(told_as: Callable[..., dict[str, Any]]) -> None:
    assert {"timestamp", "sign"}.isdisjoint(told_as("feishu"))


def test_wecom_gets_a_text(told_as: Callable[..., dict[str, Any]]) -> None:
    body = told_as("wecom")
    assert body["msgtype"] == "text"
    assert all(line in body["text"]["content"] for line in TEXT_LINES)


def test_dingtalk_gets_a_text_and_its_signature_in_the_address(told_as: Callable[..., dict[str, Any]]) -> None:
    body = told_as("dingtalk", "SECs3cret")
    assert body["msgtype"] == "text"
    assert all(line in body["text"]["content"] for line in TEXT_LINES)
    query = body["query"]
    assert query["access_token"] == "one"
    assert abs(int(query["timestamp"]) / 1000 - time.time()) < 60
    words = f"{query['timestamp']}\nSECs3cret".encode()
    assert base64.b64decode(query["sign"]) == hmac.digest(b"SECs3cret", words, "sha256")


def test_slack_gets_a_text_in_which_nothing_is_a_link_by_accident(receiver: Receiver, tmp_path: Path) -> None:
    alert = replace(FAILED, en="<b> & c")
    AlertHook(receiver.url, tmp_path / "alerts.json", now=lambda: NOW, form="slack")("DAILY_INCREMENTAL", [alert])
    ((_, body),) = receiver.got
    assert list(body) == ["text"]
    assert "&lt;b&gt; &amp; c" in body["text"]


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://open.feishu.cn/open-apis/bot/v2/hook/x", "feishu"),
        ("https://open.larksuite.com/open-apis/bot/v2/hook/x", "feishu"),
        ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x", "wecom"),
        ("https://oapi.dingtalk.com/robot/send?access_token=x", "dingtalk"),
        ("https://hooks.slack.com/services/T/B/x", "slack"),
        ("https://alerts.example.com/hook", "generic"),
        ("http://[not-an-address/", "generic"),
    ],
)
def test_the_form_goes_by_the_host(url: str, form: str) -> None:
    assert form_of(url) == form


def test_a_text_is_never_longer_than_the_strictest_receiver_takes() -> None:
    text = text_of(replace(WAITS, zh="很长" * 2_000), NOW)
    assert len(text.encode()) <= 2_048
    assert text.endswith("…")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b'{"errcode":310000,"errmsg":"sign not match"}', "errcode 310000"),
        (b'{"code":19021,"msg":"sign match fail"}', "code 19021"),
        (b'{"errcode":0,"errmsg":"ok"}', None),
        (b'{"StatusCode":0,"StatusMessage":"success","code":0}', None),
        (b"ok", None),
        (b'"errcode"', None),
    ],
)
def test_a_refusal_that_comes_with_http_200_is_one(
    receiver: Receiver, new_hook: Callable[[str], AlertHook], answer: bytes, reason: str | None
) -> None:
    receiver.answer = answer
    with structlog.testing.capture_logs() as lines:
        new_hook(receiver.url)("DAILY_INCREMENTAL", [FAILED])
        new_hook(receiver.url)("DAILY_INCREMENTAL", [FAILED])
    assert [line["reason"] for line in lines] == ([reason] * 2 if reason else [])
    assert len(receiver.got) == (2 if reason else 1)


def test_a_storm_is_held_back_and_nothing_of_it_is_lost(
    receiver: Receiver, new_hook: Callable[[str], AlertHook], clock: list[datetime]
) -> None:
    jobs = [f"run job_{number}" for number in range(25)]
    with structlog.testing.capture_logs() as lines:
        for job in jobs:
            new_hook(receiver.url)(job, [replace(FAILED, job_type=job)])
    assert len(receiver.got) == 10
    assert {line["event"] for line in lines} == {"alert.held"}
    for _ in range(2):
        clock[0] += timedelta(minutes=11)
        new_hook(receiver.url)("freshness", [])
    assert sorted(body["job"] for _, body in receiver.got) == sorted(jobs), "each once"
    clock[0] += timedelta(minutes=11)
    new_hook(receiver.url)("freshness", [])
    assert len(receiver.got) == 25


def test_an_event_that_could_not_be_delivered_is_sent_with_whatever_comes_next(
    receiver: Receiver, new_hook: Callable[[str], AlertHook]
) -> None:
    receiver.status = 500
    new_hook(receiver.url)("run nightly_job", [replace(FAILED, job_type="nightly_job")])
    receiver.status = 200
    new_hook(receiver.url)("freshness", [])
    new_hook(receiver.url)("freshness", [])
    assert [body["job"] for _, body in receiver.got] == ["nightly_job", "nightly_job"]


def test_what_is_no_longer_so_when_the_receiver_is_back_is_not_told(
    receiver: Receiver, new_hook: Callable[[str], AlertHook]
) -> None:
    receiver.status = 500
    new_hook(receiver.url)("freshness", [FAILED])
    receiver.status = 200
    new_hook(receiver.url)("freshness", [])
    assert len(receiver.got) == 1
