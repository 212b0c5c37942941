from __future__ import annotations

import pytest

from stock_assets.domain.errors import QuotaExhausted, SessionExpired, SourceUnavailable
from stock_assets.sources.retry import RetryPolicy, logged_in_again


class Attempts:
    """Raises these errors in turn and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.count = list(errors), 0

    def __call__(self) -> str:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def unavailable() -> SourceUnavailable:
    return SourceUnavailable(source="far", reason="away")


def test_transient_errors_are_retried_with_growing_pauses() -> None:
    pauses: list[float] = []
    attempts = Attempts(unavailable(), unavailable(), unavailable())
    assert RetryPolicy(attempts=4, jitter_seconds=0, sleep=pauses.append).call(attempts) == "done"
    assert pauses == [1, 2, 4]


def test_the_last_error_itself_is_raised() -> None:
    errors = [unavailable() for _ in range(3)]
    with pytest.raises(SourceUnavailable) as caught:
        RetryPolicy(sleep=lambda _seconds: None).call(Attempts(*errors))
    assert caught.value is errors[-1]


@pytest.mark.parametrize("error", [QuotaExhausted(source="far", day="today", limit=1), ValueError("a mistake of ours")])
def test_what_is_not_marked_transient_is_raised_at_once(error: Exception) -> None:
    attempts = Attempts(error)
    with pytest.raises(type(error)):
        RetryPolicy(sleep=lambda _seconds: None).call(attempts)
    assert attempts.count == 1


def test_an_expired_session_is_tried_once_more_and_no_more() -> None:
    attempts = Attempts(SessionExpired(), SessionExpired(), SessionExpired())
    with pytest.raises(SessionExpired):
        RetryPolicy(sleep=lambda _seconds: None).call(lambda: logged_in_again(attempts))
    assert attempts.count == 2
