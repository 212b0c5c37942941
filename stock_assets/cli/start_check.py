"""The look at the last days when `up` starts: what is missing, said at once, and what of it was repaired, said once it is.

The repairs themselves are runs that Dagster's daemon starts; nothing here holds `up` back, and nothing here ends it.
"""

import threading
import time
from collections.abc import Sequence
from datetime import date

import structlog

from stock_assets.cli.session import Session
from stock_assets.domain.errors import StockAssetsError
from stock_assets.pipeline.repair import days_looked_at, find_gaps
from stock_assets.wiring import Installation

_log = structlog.get_logger(__name__)
# Repairs begin within a minute; a large one takes longer than anybody waits for a line.
_LOOK_AGAIN_SECONDS, _LOOK_FOR_SECONDS = 10.0, 1800.0


class StartCheck:
    """Runs beside `up` from `begin` until all is repaired, half an hour has passed, or `end`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="start-check", daemon=True)

    def begin(self) -> None:
        """Begin to look."""
        self._thread.start()

    def end(self) -> None:
        """Say how it stands and stop looking."""
        self._ended.set()
        self.wait(_LOOK_AGAIN_SECONDS)

    def wait(self, seconds: float) -> None:
        """Wait until it is over, so long at most."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._look()
        except StockAssetsError as error:
            _log.warning("integrity.check", problem=str(error))
            sentence = error.sentence(self._session.language)
            self._session.note(f"启动核对未完成：{sentence}", f"the check at the start was not finished: {sentence}")
        except Exception as error:  # noqa: BLE001  the edge of a thread: whatever it is, `up` goes on
            _log.warning("integrity.check", problem=type(error).__name__)

    def _look(self) -> None:
        installation, began = self._session.installation, time.monotonic()
        with installation.database.read() as conn:
            days = days_looked_at(
                conn, installation.calendar, installation.now(), installation.settings.integrity_check_days
            )
        if not days:
            return
        missing = _missing(installation, days)
        first, last, seconds = days[0], days[-1], time.monotonic() - began
        self._session.note(
            f"启动核对 {first} 至 {last}：{len(missing)} 个交易日有缺失"
            + ("，补齐在后台进行，进度见网页的 Runs" if missing else "")
            + f"（{seconds:.1f} 秒）",
            f"integrity check of {first} to {last}: {len(missing)} trading days lack something"
            + ("; repairs run in the background, see Runs in the web pages" if missing else "")
            + f" ({seconds:.1f} s)",
        )
        left = missing
        while left and time.monotonic() - began < _LOOK_FOR_SECONDS and not self._ended.wait(_LOOK_AGAIN_SECONDS):
            left = _missing(installation, days)
        _log.info(
            "integrity.check",
            first=first,
            last=last,
            missing_days=len(missing),
            repaired_days=len(missing - left),
            check_seconds=round(seconds, 2),
            total_seconds=round(time.monotonic() - began, 1),
        )


def _missing(installation: Installation, days: Sequence[date]) -> set[date]:
    """Return the days that lack something which could be had."""
    with installation.database.read() as conn:
        gaps = find_gaps(conn, days, now=installation.now(), sources=installation.sources_in_use)
    return set(gaps.days)
