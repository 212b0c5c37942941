"""What the client asks of whoever paces its calls. The client itself never waits; a limiter is the only place that does."""

from typing import Protocol

from stock_assets.domain.pace import RefusalKind


class TushareLimiter(Protocol):
    """Lets calls leave, one interface at a time, and hears how each one ended."""

    def before_request(self, source: str, api: str) -> None:
        """Return when this call may leave, or raise a `SourceError` when it must not or would wait for too long."""
        ...

    def record_refusal(self, source: str, api: str, kind: RefusalKind, *, limit: int | None = None) -> None:
        """Hear of a call that gave nothing; `limit` is how many calls a period the source says it allows.

        Nothing is heard of a refused token, address or request: it says nothing about the pace.
        """
        ...

    def record_success(self, source: str, api: str) -> None:
        """Hear of a call that was answered."""
        ...


class NoLimiter:
    """A `TushareLimiter` that lets every call pass: for a client used on its own."""

    def before_request(self, source: str, api: str) -> None:
        """Let every call pass."""

    def record_refusal(self, source: str, api: str, kind: RefusalKind, *, limit: int | None = None) -> None:
        """Forget it."""

    def record_success(self, source: str, api: str) -> None:
        """Forget it."""
