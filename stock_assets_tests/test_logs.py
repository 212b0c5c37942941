"""The log: readable by people in their language and by programs, bounded on disk, without secrets."""

import io
import json
import logging
import multiprocessing
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from stock_assets.domain.errors import NotReady
from stock_assets.logs import setup as logs
from stock_assets.logs.rotating_file import SharedRotatingFile
from stock_assets.logs.words import EVENTS, FIELDS
from stock_assets.units import SLOW_SECONDS, set_slow_seconds, unit


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, own = list(root.handlers), root.level, logging.getLogger("stock_assets").level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.getLogger("stock_assets").setLevel(own)
    structlog.reset_defaults()
    set_slow_seconds(SLOW_SECONDS)


def test_a_chinese_line_has_module_operation_details_and_seconds() -> None:
    sink = io.StringIO()
    logs.configure_logging(language="zh", stream=sink)
    with unit("ingest.day", trade_date=date(2026, 1, 5)) as work:
        work.record("pool_wait", 0.361)
        work.record("api", 0.08)
    line = sink.getvalue()
    assert re.search(
        r"\[日线同步\] 交易日：交易日=2026-01-05，连接池等待=0\.36s，API调用=0\.08s，耗时 \d+\.\d\ds\n$", line
    )


def test_an_english_line_says_the_same() -> None:
    sink = io.StringIO()
    logs.configure_logging(language="en", stream=sink)
    with unit("ingest.day", trade_date=date(2026, 1, 5)) as work:
        work.record("pool_wait", 0.361)
    expected = r"\[daily sync\] trading day: trade date=2026-01-05, pool wait=0\.36s, duration \d+\.\d\ds\n$"
    assert re.search(expected, sink.getvalue())


def test_a_failure_speaks_the_users_language() -> None:
    sink = io.StringIO()
    logs.configure_logging(language="zh", stream=sink)
    with pytest.raises(NotReady), unit("ingest.day"):
        raise NotReady(trade_date="2026-01-05", reason="x", ready_at="17:30")
    assert "WARNING" in sink.getvalue()
    assert "请在 17:30 之后重试" in sink.getvalue()


def test_json_lines_hold_the_key_and_every_field_with_its_unit() -> None:
    sink = io.StringIO()
    logs.configure_logging(log_format="json", stream=sink)
    with unit("ingest.day", trade_date=date(2026, 1, 5), codes=("a", "b")) as work:
        work.record("api", 0.08)
    line = json.loads(sink.getvalue())
    assert (line["event"], line["level"], line["trade_date"], line["codes"]) == (
        "ingest.day",
        "info",
        "2026-01-05",
        ["a", "b"],
    )
    assert line["api_seconds"] == 0.08
    assert line["total_seconds"] >= 0


@pytest.mark.parametrize(("level", "shown"), [("DEBUG", 3), ("INFO", 2), ("WARNING", 1), ("ERROR", 0)])
def test_the_level_decides_between_stocks_days_and_slow_work(level: logs.LogLevel, shown: int) -> None:
    sink = io.StringIO()
    logs.configure_logging(level, stream=sink)
    with unit("ingest.stock", "debug"):
        pass
    with unit("ingest.day"):
        pass
    with unit("ingest.stock", "debug", slow_seconds=0.0):
        pass
    assert len(sink.getvalue().splitlines()) == shown


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_secret_reaches_a_line(log_format: logs.LogFormat, tmp_path: Path) -> None:
    sink, file = io.StringIO(), tmp_path / "a.log"
    logs.configure_logging("DEBUG", log_format, stream=sink, file=file, secrets=["known-geheim"])
    log = structlog.get_logger()
    log.info("a", url="postgresql://u:url-geheim@h/d", token="two words named-geheim", key=SecretStr("typed-geheim"))
    log.info("b", nested={"inner": {"password": "nested-geheim"}}, note="it is known-geheim")
    logging.getLogger("library").warning("GET %s", "https://h/?token=query-geheim&x=1")
    try:
        raise ValueError("refused known-geheim at postgresql://u:trace-geheim@h/d")  # noqa: TRY301
    except ValueError:
        logging.getLogger("library").exception("bad")
        log.exception("c")
    text = sink.getvalue() + file.read_text(encoding="utf-8")
    assert text.count("\n") >= 10
    assert "geheim" not in text


def test_records_of_libraries_take_the_same_way() -> None:
    sink = io.StringIO()
    logs.configure_logging(stream=sink)
    logging.getLogger("some.library").info("hello %s", "there")
    logging.getLogger("some.library").debug("not this")
    assert re.search(r"INFO +\[library\] hello there\n$", sink.getvalue())


def test_a_logger_with_a_terminal_of_its_own_is_not_shown_twice(tmp_path: Path) -> None:
    sink, file = io.StringIO(), tmp_path / "a.log"
    logs.configure_logging(stream=sink, file=file)
    other = logging.getLogger("otherprogram")
    own = logging.NullHandler()
    other.addHandler(own)
    try:
        logging.getLogger("otherprogram.part").warning("once")
    finally:
        other.removeHandler(own)
    assert sink.getvalue() == ""
    assert "once" in file.read_text(encoding="utf-8")


def test_configuring_again_replaces_the_first_set_up(tmp_path: Path) -> None:
    first, second = io.StringIO(), io.StringIO()
    before = len(logging.getLogger().handlers)
    logs.configure_logging(stream=first, file=tmp_path / "a.log")
    logs.configure_logging(stream=second)
    structlog.get_logger().info("x")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1
    assert len(logging.getLogger().handlers) == before + 1


def test_a_file_that_cannot_be_written_is_one_warning(tmp_path: Path) -> None:
    sink = io.StringIO()
    (tmp_path / "logs").touch()
    logs.configure_logging(stream=sink, file=logs.log_file(tmp_path))
    structlog.get_logger().info("x")
    lines = sink.getvalue().splitlines()
    assert len(lines) == 2
    assert "WARNING" in lines[0]


def _write_lines(path: Path, name: str, count: int) -> None:
    handler = SharedRotatingFile(path, maxBytes=20_000, backupCount=50, encoding="utf-8")
    for number in range(count):
        handler.emit(logging.makeLogRecord({"msg": f"{name} {number} {'x' * 80}"}))
    handler.close()


def test_the_file_rotates_and_keeps_a_bounded_number(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    handler = SharedRotatingFile(file, maxBytes=1000, backupCount=2, encoding="utf-8")
    for number in range(200):
        handler.emit(logging.makeLogRecord({"msg": f"{number:04} {'x' * 90}"}))
    handler.close()
    sizes = [path.stat().st_size for path in tmp_path.glob("a.log*") if path.suffix != ".lock"]
    assert len(sizes) == 3
    assert max(sizes) <= 1100
    assert "0199" in file.read_text(encoding="utf-8")


def test_a_writer_follows_a_file_that_another_one_has_rotated(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    first, second = (SharedRotatingFile(file, maxBytes=1000, backupCount=9, encoding="utf-8") for _ in range(2))
    for number in range(12):
        first.emit(logging.makeLogRecord({"msg": f"{number:04} {'x' * 90}"}))
    second.doRollover()
    second.emit(logging.makeLogRecord({"msg": "newest"}))
    for handler in (first, second):
        handler.close()
    assert sorted(path.name for path in tmp_path.glob("a.log*") if path.suffix != ".lock") == ["a.log", "a.log.1"]
    assert "newest" in file.read_text(encoding="utf-8")


def test_processes_that_share_the_file_lose_no_line(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_lines, args=(file, name, 500)) for name in ("one", "two", "three")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    kept = [path for path in tmp_path.glob("a.log*") if path.suffix != ".lock"]
    assert len(kept) > 3
    lines = [line.rsplit(" ", 1)[0] for path in kept for line in path.read_text(encoding="utf-8").splitlines()]
    assert sorted(lines) == sorted(f"{name} {number}" for name in ("one", "two", "three") for number in range(500))


def test_every_event_and_field_has_both_languages() -> None:
    for zh, en in EVENTS.values():
        assert re.fullmatch(r"\[.+\] .+", zh)
        assert re.fullmatch(r"\[.+\] .+", en)
        assert not re.search(r"[\u4e00-\u9fff]", en)
    assert all(zh and en for zh, en in FIELDS.values())
