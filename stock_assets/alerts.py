"""Sends alerts to the one address of the settings; a run never fails, waits long or talks of the address for it."""

import hashlib
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPMessage
from pathlib import Path
from typing import IO

import structlog

from stock_assets.domain.alerts import Alert
from stock_assets.domain.calendar import SHANGHAI

_log = structlog.get_logger(__name__)
_TOTAL_SECONDS, _PIECE_SECONDS = 10.0, 5.0
# A state that has not changed is not told again every night.
_REMIND_AFTER = timedelta(days=7)
_NAMED = 20

Body = Callable[[Alert, datetime], Mapping[str, object]]


def plain_body(alert: Alert, now: datetime) -> Mapping[str, object]:
    """Return the JSON that is sent: `what`, `job`, `items` (at most 20) of `items_total`, `zh`, `en`, `next`, `at`."""
    return {
        "what": alert.cause,
        "job": alert.job_type,
        "items": list(alert.items[:_NAMED]),
        "items_total": len(alert.items),
        "zh": alert.zh,
        "en": alert.en,
        "next": alert.command,
        "at": now.astimezone(SHANGHAI).isoformat(timespec="seconds"),
    }


@dataclass(frozen=True, slots=True)
class _Told:
    state: str
    at: datetime


class AlertHook:
    """Posts each alert once; the same state again only after a week, or after all was well in between.

    `memory` is a file that remembers what was told, for all processes of this installation; `body` is the form of a
    receiver that wants another one than `plain_body`.
    """

    def __init__(self, url: str, memory: Path, *, now: Callable[[], datetime], body: Body = plain_body) -> None:
        self._url = url
        self._memory = memory
        self._now = now
        self._body = body

    def __call__(self, job_type: str, alerts: Sequence[Alert]) -> None:
        """Tell what is new of `alerts`, which are all there are of a job type; never raises."""
        try:
            self._tell(job_type, alerts)
        except Exception as error:  # noqa: BLE001  whatever it is, the data is in the store
            _log.warning("alert.failed", reason=type(error).__name__)

    def _tell(self, job_type: str, alerts: Sequence[Alert]) -> None:
        known, now = self._read(), self._now()
        before = known.get(job_type, {})
        told: dict[str, _Told] = {}
        for alert in alerts:
            state = hashlib.sha256(json.dumps([alert.items, alert.en], ensure_ascii=False).encode()).hexdigest()
            last = before.get(alert.cause)
            if last is not None and last.state == state and now - last.at < _REMIND_AFTER:
                told[alert.cause] = last
            elif self._send(self._body(alert, now)):
                told[alert.cause] = _Told(state, now)
        if told != before:
            self._write({**known, job_type: told})

    def _send(self, body: Mapping[str, object]) -> bool:
        content = json.dumps(body, ensure_ascii=False).encode()
        said: list[str] = []
        # A thread, because only so everything together, the name's look-up included, has one deadline.
        post = threading.Thread(
            target=lambda: said.append(_post(self._url, content)), name="stock-assets-alert", daemon=True
        )
        post.start()
        post.join(_TOTAL_SECONDS)
        reason = said[0] if said else "no answer in time"
        if reason:
            _log.warning("alert.failed", reason=reason)
        return not reason

    def _read(self) -> dict[str, dict[str, _Told]]:
        try:
            known: dict[str, dict[str, list[str]]] = json.loads(self._memory.read_text(encoding="utf-8"))
            return {
                job_type: {cause: _Told(state, datetime.fromisoformat(at)) for cause, (state, at) in causes.items()}
                for job_type, causes in known.items()
            }
        except (OSError, ValueError, TypeError, AttributeError):
            # Whatever was told is told once more.
            return {}

    def _write(self, known: Mapping[str, Mapping[str, _Told]]) -> None:
        lines = {
            job_type: {cause: [told.state, told.at.isoformat()] for cause, told in causes.items()}
            for job_type, causes in known.items()
        }
        with suppress(OSError):
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            new = self._memory.with_suffix(f".{os.getpid()}")
            new.write_text(json.dumps(lines), encoding="utf-8")
            new.replace(self._memory)


class _StayThere(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0913  the library's signature
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Follow nobody: the body is for the address of the settings alone."""


def _post(url: str, content: bytes) -> str:
    """Send it and return what went wrong, in words without the address; nothing when it arrived."""
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "stock-assets"}
    if not url.startswith(("https://", "http://")):
        return "STOCK_ASSETS_ALERT_URL does not begin with https:// or http://"
    try:
        request = urllib.request.Request(url, content, headers, method="POST")  # noqa: S310  http or https, see above
        with urllib.request.build_opener(_StayThere).open(request, timeout=_PIECE_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except urllib.error.URLError as error:
        return type(error.reason).__name__ if isinstance(error.reason, Exception) else "URLError"
    except Exception as error:  # noqa: BLE001  the edge of a thread; only the class, because texts may hold the address
        return type(error).__name__
