"""What a person should be told of a synchronization that did not end well. How they are told does not belong here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Cause = Literal["failed", "needs_a_person"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One reason to look: the job type, the items it is about, a sentence in both languages, and the next command."""

    cause: Cause
    job_type: str
    items: tuple[str, ...]
    zh: str
    en: str
    command: str


Notify = Callable[[str, Sequence[Alert]], None]
"""Is told, after each run of a job type, everything there is to tell of it; nothing means that all is well again."""


def tell_nobody(job_type: str, alerts: Sequence[Alert]) -> None:
    """Keep it to oneself."""
