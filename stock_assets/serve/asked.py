"""How often each stock was asked for, kept in a small file over restarts; only a hint, so nothing about it ever fails."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_KEPT = 1_000
# Beyond this all counts are halved, so that what nobody asks for any more is forgotten in time.
_MOST = 100_000
_SAVE_SECONDS = 60.0


class AskedStocks:
    """Counts by ts_code in `file`, shared by processes: each adds its own when it saves; at most 1,000 stocks are kept."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._new: Counter[str] = Counter()
        self._saved_at = clock()

    def note(self, ts_code: str) -> None:
        """Count one question."""
        with self._lock:
            self._new[ts_code] += 1

    def most_asked(self, count: int) -> list[str]:
        """Return the codes that were asked for most, as of the last save, most first."""
        return [code for code, _ in self._read().most_common(count)]

    def save_when_due(self) -> None:
        """Save once a minute."""
        if self._clock() - self._saved_at >= _SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Add what was counted since the last save to the file; of two processes at the same moment one may be lost."""
        with self._lock:
            new, self._new = self._new, Counter()
            self._saved_at = self._clock()
        if not new:
            return
        counts = self._read() + new
        while counts.total() > _MOST:
            counts = Counter({code: count // 2 for code, count in counts.items() if count > 1})
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._file.with_suffix(f".{os.getpid()}")
            unfinished.write_text(json.dumps(dict(counts.most_common(_KEPT))), encoding="utf-8")
            unfinished.replace(self._file)

    def _read(self) -> Counter[str]:
        try:
            counts: dict[str, int] = json.loads(self._file.read_text(encoding="utf-8"))
            return Counter({str(code): int(count) for code, count in counts.items()})
        except (OSError, ValueError, TypeError, AttributeError):
            return Counter()
