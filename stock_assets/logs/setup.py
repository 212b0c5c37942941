"""How the log looks and where it goes: one line per unit of work, for people in their language or for programs as JSON.

The terminal (stderr) shows what settings ask for; the file is always JSON lines and rotates by size, so that its space is
bounded. Event keys are constants; `EVENTS` and `FIELDS` say them in Chinese and English. Secrets never reach a line.
Records of Dagster and of libraries, made with Python's own `logging`, take the same way. Timing a unit of work is in `units`.
"""

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal, Protocol, cast

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from stock_assets.domain.errors import Language, StockAssetsError
from stock_assets.logs.rotating_file import SharedRotatingFile
from stock_assets.logs.words import CAUSES, EVENTS, FIELDS
from stock_assets.units import SLOW_SECONDS, set_slow_seconds

FILE_BYTES = 20_000_000
FILES_KEPT = 5

_INTERNAL = frozenset({"event", "level", "logger", "timestamp", "exception", "total_seconds"})
_SECRET_KEY = re.compile(r"token|passw(?:or)?d|secret|api_?key|authorization", re.IGNORECASE)
_SECRET_PAIR = re.compile(
    r"((?:token|passw(?:or)?d|secret|api_?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;)}，；）]+", re.IGNORECASE
)
_SECRET_WORDS = ("token", "passw", "secret", "apikey", "api_key")
_URL_PASSWORD = re.compile(r"(\w://[^\s:/@]*:)[^\s@]+@")
# Libraries that tell at INFO what they are about to do, at every start.
_NARRATORS = ("alembic", "matplotlib")
_MASK = "***"
_HANDLER = "stock_assets.terminal"
_FILE_HANDLER = "stock_assets.file"

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["console", "json"]
Renderer = Callable[[object, str, EventDict], str]


class TextSink(Protocol):
    """Where lines may be written."""

    def write(self, text: str, /) -> object:
        """Take some text."""
        ...

    def flush(self) -> object:
        """Hand everything on."""
        ...


def log_file(home: Path) -> Path:
    """Return the log file of a data folder."""
    return home / "logs" / "stock-assets.log"


def configure_logging(  # noqa: PLR0913 - each is one knob of the log
    level: LogLevel = "INFO",
    log_format: LogFormat = "console",
    *,
    language: Language = "en",
    stream: TextSink | None = None,
    file: Path | None = None,
    slow_seconds: float = SLOW_SECONDS,
    secrets: Iterable[str] = (),
) -> None:
    """Send this process's log to the terminal and to `file`; calling it again replaces what an earlier call set up.

    `secrets` are values that are cut out of every line wherever they appear. A file that cannot be written is named in
    one warning and done without.
    """
    number = logging.getLevelNamesMapping()[level]
    finish = _masker(secrets)
    render = _json_line if log_format == "json" else _console_line(language)
    terminal = logging.StreamHandler(_CurrentStderr() if stream is None else stream)
    terminal.addFilter(_shown_by_nobody_else)
    _install(_HANDLER, terminal, _formatter(render, finish))
    problem = _open_file(file, finish)

    # Libraries have nothing to say at DEBUG that a user of this project could act on.
    logging.getLogger().setLevel(max(number, logging.INFO))
    logging.getLogger("stock_assets").setLevel(number)
    for name in _NARRATORS:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *_PREPARE, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_python_logger,
        # Module-level loggers must follow a later call, for example of a test or of a started Dagster run.
        cache_logger_on_first_use=False,
    )
    set_slow_seconds(slow_seconds)
    if problem is not None:
        structlog.get_logger(__name__).warning("log.file_unavailable", path=str(file), problem=problem)


class _CurrentStderr:
    """Whatever `sys.stderr` is at the moment, so that a progress bar can keep the lines above itself."""

    def write(self, text: str, /) -> object:
        return sys.stderr.write(text)

    def flush(self) -> object:
        return sys.stderr.flush()


def _open_file(file: Path | None, finish: Callable[[str], str]) -> str | None:
    if file is None:
        _install(_FILE_HANDLER, None, None)
        return None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = SharedRotatingFile(file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
    except OSError as error:
        _install(_FILE_HANDLER, None, None)
        return f"{type(error).__name__}: {error.strerror}"
    _install(_FILE_HANDLER, handler, _formatter(_json_line, finish))
    return None


def _install(name: str, handler: logging.Handler | None, formatter: logging.Formatter | None) -> None:
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == name]:
        root.removeHandler(old)
        old.close()
    if handler is not None:
        handler.set_name(name)
        handler.setFormatter(formatter)
        root.addHandler(handler)


def _shown_by_nobody_else(record: logging.LogRecord) -> bool:
    # Dagster's commands give the logger "dagster" a terminal handler of their own: its lines would come twice.
    family = record.name.partition(".")[0]
    return family == "root" or not logging.getLogger(family).handlers


def _python_logger(*names: str) -> logging.Logger:
    # structlog's own factory walks the stack to find a name when none is given.
    return logging.getLogger(names[0] if names else "stock_assets")


def _stamp(_logger: object, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = datetime.now(UTC).astimezone().isoformat(timespec="milliseconds")
    return event


def _mask(_logger: object, _method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        event[name] = _masked(name, value)
    return event


def _masked(name: str, value: object) -> object:
    if _SECRET_KEY.search(name) or hasattr(value, "get_secret_value"):
        return _MASK
    if isinstance(value, dict):
        inner = cast("dict[object, object]", value)
        return {str(key): _masked(str(key), item) for key, item in inner.items()}
    return value


_PREPARE: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    _stamp,
    structlog.processors.format_exc_info,
    _mask,
]


def _formatter(render: Renderer, finish: Callable[[str], str]) -> ProcessorFormatter:
    def line(logger: object, method: str, event: EventDict) -> str:
        return finish(render(logger, method, event))

    return ProcessorFormatter(
        processors=[ProcessorFormatter.remove_processors_meta, line],
        foreign_pre_chain=_PREPARE,
    )


def _masker(secrets: Iterable[str]) -> Callable[[str], str]:
    words: set[str] = set()
    for secret in secrets:
        words |= {secret, json.dumps(secret, ensure_ascii=False)[1:-1]} - {""}
    longest_first = sorted(words, key=len, reverse=True)

    def finish(line: str) -> str:
        for word in longest_first:
            if word in line:
                line = line.replace(word, _MASK)
        if "@" in line:
            line = _URL_PASSWORD.sub(rf"\1{_MASK}@", line)
        lowered = line.lower()
        # Most lines hold none of them, and the expression costs twenty times as much as looking.
        return _SECRET_PAIR.sub(rf"\1{_MASK}", line) if any(word in lowered for word in _SECRET_WORDS) else line

    return finish


def _json_line(_logger: object, _method: str, event: EventDict) -> str:
    head = {name: event.get(name) for name in ("timestamp", "level", "event")}
    return json.dumps({**head, **event}, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(str(item) for item in cast("Iterable[object]", value))
    return str(value)


def _console_line(language: Language) -> Renderer:
    is_chinese = language == "zh"
    colon, comma, took = ("：", "，", "耗时 ") if is_chinese else (": ", ", ", "duration ")

    def line(_logger: object, _method: str, event: EventDict) -> str:
        key = str(event.get("event", ""))
        level = str(event.get("level", "")).upper()
        when = str(event.get("timestamp", ""))[:19].replace("T", " ")
        title = EVENTS[key][0 if is_chinese else 1] if key in EVENTS else f"[{_module(event)}] {key}"
        details = [
            f"{_label(name, is_chinese=is_chinese)}={_shown(name, value, language)}"
            for name, value in event.items()
            if name not in _INTERNAL and value is not None
        ]
        if isinstance(total := event.get("total_seconds"), int | float):
            details.append(f"{took}{total:.2f}s")
        text = io.StringIO()
        text.write(f"{when} {level:<7} {title}")
        if details:
            text.write(colon + comma.join(details))
        if trace := event.get("exception"):
            text.write(f"\n{trace}")
        return text.getvalue()

    return line


def _module(event: EventDict) -> str:
    return str(event.get("logger", "")).rpartition(".")[2]


def _label(name: str, *, is_chinese: bool) -> str:
    if name in FIELDS:
        return FIELDS[name][0 if is_chinese else 1]
    return name.removesuffix("_seconds").replace("_", " ")


def _shown(name: str, value: object, language: Language) -> str:
    match value:
        case StockAssetsError():
            return value.sentence(language)
        case float() if name.endswith("_seconds"):
            return f"{value:.2f}s"
        case float():
            return f"{value:g}"
        case str() if name == "cause" and language == "zh":
            return CAUSES.get(value, value)
        case list() | tuple() | set() | frozenset():
            return " ".join(str(item) for item in cast("Iterable[object]", value))
        case _:
            return str(value)
