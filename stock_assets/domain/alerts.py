"""What a person should be told: a synchronization or run that failed, data grown old, a ban. How they are told is not here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Cause = Literal["failed", "needs_a_person", "run_failed", "stale", "banned", "quota_low", "rebuild_failed"]
AlertForm = Literal["auto", "generic", "feishu", "wecom", "dingtalk", "slack"]
"""What the receiver wants; `auto` goes by the host of its address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One reason to look: the items it is about, a sentence in both languages, and the next command.

    `job_type` is the job type, the Dagster job, the source or whatever else it is about. Items and `en` are the state: what
    changes while nothing new has happened, such as a count of requests, must not be in them.
    """

    cause: Cause
    job_type: str
    items: tuple[str, ...]
    zh: str
    en: str
    command: str


Notify = Callable[[str, Sequence[Alert]], None]
"""Is told everything there is to tell of a scope, such as a job type after each run; nothing means that all is well again."""


def tell_nobody(scope: str, alerts: Sequence[Alert]) -> None:
    """Keep it to oneself."""
