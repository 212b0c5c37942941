"""What a source can say. Five verdicts, of which only the first two may close a gap.

`Rows`        the asked rows, verified against the request
`ProvenEmpty` the source answered this very request, completely, and has nothing
`Refused`     the source declined; `error` says why and whether trying again can help
`Broken`      nothing usable came back, or something that was not asked for
`Truncated`   rows came, and some are known to be missing
"""

from dataclasses import dataclass, field

import polars as pl

from stock_assets.domain.errors import AnswerBroken, SourceError, StockAssetsError


@dataclass(frozen=True, slots=True)
class CallCost:
    """What one call took: requests on the wire (pages and log-ins included) and where the time went, in seconds."""

    requests: int = 0
    wait_seconds: float = 0.0
    api_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Rows:
    """Verified rows: all text, in the source's own columns and order, at least one."""

    frame: pl.DataFrame
    cost: CallCost = field(default_factory=CallCost)


@dataclass(frozen=True, slots=True)
class ProvenEmpty:
    """A complete, verified answer without rows; `proof` says what was echoed."""

    proof: str
    cost: CallCost = field(default_factory=CallCost)


@dataclass(frozen=True, slots=True)
class Refused:
    """The source declined; `kind` is the name of the error's class in lower case words."""

    error: SourceError
    cost: CallCost = field(default_factory=CallCost)

    @property
    def kind(self) -> str:
        """Name of the refusal, such as `QuotaExhausted`."""
        return type(self.error).__name__


@dataclass(frozen=True, slots=True)
class Broken:
    """No trustworthy answer, after as many attempts as the policy allows."""

    error: StockAssetsError
    cost: CallCost = field(default_factory=CallCost)


@dataclass(frozen=True, slots=True)
class Truncated:
    """Some rows came and more are known to exist; `frame` is what came, never to be stored as complete."""

    frame: pl.DataFrame
    reason: str
    cost: CallCost = field(default_factory=CallCost)


_VERDICTS = {Rows: "rows", ProvenEmpty: "proven empty", Refused: "refused", Broken: "broken", Truncated: "truncated"}
Answer = Rows | ProvenEmpty | Refused | Broken | Truncated


def verdict(answer: Answer) -> str:
    """Return the verdict's name as people read it."""
    return _VERDICTS[type(answer)]


def closes_gap(answer: Answer) -> bool:
    """Return whether a gap may be closed by this answer."""
    return isinstance(answer, Rows | ProvenEmpty)


def error_of(answer: Answer, *, source: str, api: str) -> StockAssetsError | None:
    """Return the error that stands for an answer which closes no gap, else None."""
    if isinstance(answer, Refused | Broken):
        return answer.error
    if isinstance(answer, Truncated):
        return AnswerBroken(source=source, api=api, reason=answer.reason)
    return None
