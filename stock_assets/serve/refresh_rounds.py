"""Rounds of refreshing, for the log: from the first expired value on until nothing is left to do, one line each.

It is called under the cache's lock; who logs the line does so outside.
"""

from dataclasses import replace

from stock_assets.serve.cache_stats import Counts

# Refreshing that never pauses is told of as well.
_ROUND_SECONDS = 60.0


class RefreshRounds:
    """The refreshes that are to come or under way, and the round they belong to; `counts` are the cache's own."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._began: float | None = None
        self._before = replace(counts)
        self.pending = 0
        self.problem: BaseException | None = None
        """The last error of the round."""

    def begin(self, now: float) -> bool:
        """Count one more refresh that is to come; return whether it is the first of its round."""
        self.pending += 1
        if self._began is not None:
            return False
        self._start(now)
        return True

    def end(self, now: float, *, entries: int, held_bytes: int) -> dict[str, object] | None:
        """Count one that has ended; return the round's line if it is over, or has lasted so long that it is told in parts."""
        self.pending -= 1
        if self._began is None or (self.pending and now - self._began < _ROUND_SECONDS):
            return None
        before, after = self._before, self._counts
        served = after.hits + after.stale - before.hits - before.stale
        asked = served + after.misses - before.misses
        line: dict[str, object] = {
            "refreshed": after.refreshes - before.refreshes,
            "failed": after.refresh_failures - before.refresh_failures,
            "stale_answers": after.stale - before.stale,
            "hit_rate": round(served / asked, 4) if asked else None,
            "entries": entries,
            "megabytes": round(held_bytes / 1e6, 1),
            "total_seconds": round(now - self._began, 4),
        }
        if self.problem is not None:
            line["problem"] = self.problem
        if self.pending:
            self._start(now)
        else:
            self._began, self.problem = None, None
        return line

    def _start(self, now: float) -> None:
        self._began, self._before, self.problem = now, replace(self._counts), None
