"""What a cache is told about its values, and what a store behind it must be able to do."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

Value = TypeVar("Value")
Expiry = Literal["soft", "hard"]
Name = tuple[str, Hashable]


@dataclass(frozen=True)  # generic classes and slots do not go together before Python 3.12
class Kind(Generic[Value]):
    """What values of one kind have in common.

    For `ttl_seconds` a value is fresh. After that, `hard`: the next reader waits for a new one; `soft`: the old one is
    served, for at most `stale_seconds` more, while one refresh runs. `size` returns bytes.
    """

    name: str
    ttl_seconds: float
    size: Callable[[Value], int]
    expiry: Expiry = "soft"
    stale_seconds: float | None = None
    """None means as long as `ttl_seconds`."""

    @property
    def grace_seconds(self) -> float:
        """Return how long a value is still served after it has expired."""
        if self.expiry == "hard":
            return 0.0
        return self.ttl_seconds if self.stale_seconds is None else self.stale_seconds


class Slot(Protocol):
    """One value's place in a store behind the cache; it never raises, for a cache works without it."""

    def read(self) -> tuple[Any, float] | None:
        """Return the value and the seconds for which it is still fresh, or None."""
        ...

    def write(self, value: Any, seconds: float) -> None:  # noqa: ANN401  any kind of value
        """Keep the value for so many seconds."""
        ...

    def forget(self) -> None:
        """Keep nothing there."""
        ...


class Behind(Protocol):
    """A store behind the cache, shared with other processes."""

    def slot(self, kind: str, key: Hashable) -> Slot | None:
        """Return the place of a value as of now, or None for what is not kept there."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
