"""What is known of the pace at which one interface of a source may be called.

Times are aware; intervals are in seconds. How the pace changes belongs to `sources.pacing`, where it is kept to `storage`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

RefusalKind = Literal["minute", "hour", "day", "permission", "other"]
"""`permission` is the interface's own; a failure that too many calls may have caused, and no text says so, is `other`."""

Closing = Literal["minute", "hour", "day", "permission"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateState:
    """One interface: when its next call may be made, what the source has refused, and what that taught.

    `interval_seconds` is null while the pace of the settings holds, else the slower pace in force. `learned_limit` is the
    most calls a window that the source has shown to allow, null before its first refusal at `refused_at`.
    """

    source: str
    api: str
    next_at: datetime
    interval_seconds: float | None = None
    closed_until: datetime | None = None
    closed_reason: Closing | None = None
    learned_limit: int | None = None
    refused_at: datetime | None = None

    def is_closed(self, now: datetime) -> bool:
        """Return whether no call may be made at `now`, whatever its turn."""
        return self.closed_until is not None and now < self.closed_until


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer to a caller: its own `slot`, or none because it would be too far ahead; `now` is the store's clock."""

    slot: datetime | None
    now: datetime
    state: RateState
