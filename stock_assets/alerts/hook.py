"""Sends alerts to the one address of the settings; a run never fails, waits long or talks of the address for it."""

import hashlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from http.client import HTTPMessage
from pathlib import Path
from typing import IO

import structlog

from stock_assets.alerts.forms import message, refusal
from stock_assets.alerts.memory import Memory, Told
from stock_assets.domain.alerts import Alert, AlertForm

_log = structlog.get_logger(__name__)
_TOTAL_SECONDS, _PIECE_SECONDS = 10.0, 5.0
# A state that has not changed is not told again every night.
_REMIND_AFTER = timedelta(days=7)
# Robots close for ten minutes after some twenty messages in one.
_MOST, _WITHIN = 10, timedelta(minutes=10)
_ANSWER_BYTES = 65_536


class AlertHook:
    """Posts each alert once; the same state again only after a week, or after all was well in between.

    `memory` is a file that remembers what was told, for all processes of this installation; `form` is what the receiver
    wants, `secret` what messages are signed with. At most ten are sent in ten minutes; one that was held back, or did not
    arrive, is sent with a later call.
    """

    def __init__(
        self,
        url: str,
        memory: Path,
        *,
        now: Callable[[], datetime],
        form: AlertForm = "auto",
        secret: str | None = None,
    ) -> None:
        self._url = url
        self._memory = memory
        self._now = now
        self._form: AlertForm = form
        self._secret = secret
        self._lock = threading.Lock()

    def __call__(self, scope: str, alerts: Sequence[Alert]) -> None:
        """Tell what is new of `alerts`, which are all there are of a scope, such as a job type; never raises."""
        try:
            with self._lock:
                self._tell(scope, alerts)
        except Exception as error:  # noqa: BLE001  whatever it is, the data is in the store
            _log.warning("alert.failed", reason=type(error).__name__)

    def _tell(self, scope: str, alerts: Sequence[Alert]) -> None:
        known, now = Memory.read(self._memory), self._now()
        before = known.text()
        # What waited in this scope is told as it is now, or is no longer so.
        earlier, _ = known.told.pop(scope, {}), known.waiting.pop(scope, None)
        told, waiting = dict[str, Told](), dict[str, Alert]()
        for alert in alerts:
            last = earlier.get(alert.cause)
            if last is not None and last.state == _state(alert) and now - last.at < _REMIND_AFTER:
                told[alert.cause] = last
            elif self._send(alert, known, now):
                told[alert.cause] = Told(_state(alert), now)
            else:
                waiting[alert.cause] = alert
        known.told[scope], known.waiting[scope] = told, waiting
        if not waiting:
            self._send_waiting(known, now)
        known.drop_empty()
        if known.text() != before:
            known.write(self._memory)

    def _send_waiting(self, known: Memory, now: datetime) -> None:
        """Send what other calls could not, until one does not arrive."""
        for scope, alerts in known.waiting.items():
            for cause, alert in list(alerts.items()):
                if not self._send(alert, known, now):
                    return
                del alerts[cause]
                known.told.setdefault(scope, {})[cause] = Told(_state(alert), now)

    def _send(self, alert: Alert, known: Memory, now: datetime) -> bool:
        known.sent = [moment for moment in known.sent if now - _WITHIN < moment <= now]
        if len(known.sent) >= _MOST:
            _log.warning("alert.held", reason=f"{_MOST} in {_WITHIN.total_seconds() / 60:.0f} minutes")
            return False
        known.sent.append(now)
        # A signature is judged by the receiver's clock, not by a fixed today.
        url, body = message(
            self._form, self._url, alert, now, secret=self._secret, stamp=time.time()
        )  # fmt: skip
        content = json.dumps(body, ensure_ascii=False).encode()
        said: list[str] = []
        # A thread, because only so everything together, the name's look-up included, has one deadline.
        post = threading.Thread(target=lambda: said.append(_post(url, content)), name="stock-assets-alert", daemon=True)
        post.start()
        post.join(_TOTAL_SECONDS)
        reason = said[0] if said else "no answer in time"
        if reason:
            _log.warning("alert.failed", reason=reason)
            return False
        return True


def _state(alert: Alert) -> str:
    return hashlib.sha256(json.dumps([alert.items, alert.en], ensure_ascii=False).encode()).hexdigest()


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
        with urllib.request.build_opener(_StayThere).open(request, timeout=_PIECE_SECONDS) as response:
            return refusal(response.read(_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except urllib.error.URLError as error:
        return type(error.reason).__name__ if isinstance(error.reason, Exception) else "URLError"
    except Exception as error:  # noqa: BLE001  the edge of a thread; only the class, because texts may hold the address
        return type(error).__name__
