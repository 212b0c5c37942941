"""How a failure looks in Dagster: one sentence in the user's language, and a retry only where it can help."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from dagster import Backoff, DagsterExecutionInterruptedError, Failure, Jitter, RetryPolicy

from stock_assets.domain.errors import Language, StockAssetsError, Transient

ERROR_CLASS = "error class"


class RetryFailures(RetryPolicy):
    """`RetryPolicy` that lets a cancelled run end: Dagster retries what is interrupted as if it had failed."""

    def calculate_delay(self, attempt_num: int) -> float:
        """Return the seconds to wait before another attempt.

        Errors: the interruption itself, when Dagster asks while it handles one.
        """
        handled = sys.exception()
        if isinstance(handled, (DagsterExecutionInterruptedError, KeyboardInterrupt)):
            raise handled
        return super().calculate_delay(attempt_num)


# The client has tried three times already: a second round is worth it only after a pause.
RETRY: Final = RetryFailures(max_retries=1, delay=20, backoff=Backoff.EXPONENTIAL, jitter=Jitter.PLUS_MINUS)


@contextmanager
def plain_failures(language: Language) -> Generator[None]:
    """Turn this project's errors into Dagster failures; permanent ones are not retried."""
    try:
        yield
    except StockAssetsError as error:
        raise Failure(
            error.sentence(language),
            metadata={ERROR_CLASS: type(error).__name__, **{name: str(fact) for name, fact in error.facts.items()}},
            allow_retries=isinstance(error, Transient),
        ) from error
