"""When a call to a source is made again: on the `Transient` mark only, with growing, jittered pauses.

What counts as one attempt, and what to do with a last failure, belongs to the client that calls.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from stock_assets.domain.errors import SessionExpired, Transient
from stock_assets.sources.base import Sleep

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts in all, and the pauses between them: about 1, 2, 4 … seconds plus up to `jitter_seconds`.

    `sleep` is an argument so that tests do not wait.
    """

    attempts: int = 3
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 30.0
    jitter_seconds: float = 1.0
    sleep: Sleep = time.sleep

    def call(self, attempt: Callable[[], T]) -> T:
        """Return what `attempt` returns, made again while it raises a transient error.

        Errors: the last error itself, or at once the first one that is not transient.
        """
        return Retrying(
            sleep=self.sleep,
            stop=stop_after_attempt(self.attempts),
            wait=wait_exponential_jitter(
                initial=self.first_pause_seconds, max=self.longest_pause_seconds, jitter=self.jitter_seconds
            ),
            retry=retry_if_exception(_may_succeed_next_time),
            reraise=True,
        )(attempt)


def _may_succeed_next_time(error: BaseException) -> bool:
    # Two log-ins in a row that the source forgot at once are not cured by waiting a second: `logged_in_again` has
    # already made the one retry that helps.
    return isinstance(error, Transient) and not isinstance(error, SessionExpired)


def logged_in_again(attempt: Callable[[], T]) -> T:
    """Return what `attempt` returns; when it finds its session expired it is made exactly once more."""
    try:
        return attempt()
    except SessionExpired:
        return attempt()
