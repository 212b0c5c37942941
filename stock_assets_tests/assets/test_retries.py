"""What is tried again: a failure that may pass, and nothing that somebody cancelled."""

import pytest
from dagster import DagsterExecutionInterruptedError, DagsterInstance, Failure, asset, materialize

from stock_assets.assets.failures import RetryFailures

AGAIN = RetryFailures(max_retries=1, delay=0)


@pytest.mark.parametrize("raised", [DagsterExecutionInterruptedError, KeyboardInterrupt])
def test_what_is_interrupted_ends_at_once(raised: type[BaseException], instance: DagsterInstance) -> None:
    tried: list[int] = []

    @asset(retry_policy=AGAIN)
    def interrupted() -> None:
        tried.append(1)
        raise raised

    with pytest.raises(raised):
        materialize([interrupted], instance=instance)
    assert len(tried) == 1


def test_a_failure_is_tried_again_unless_it_says_that_this_is_useless(instance: DagsterInstance) -> None:
    tried: list[bool] = []

    def failing(*, allow_retries: bool) -> int:
        @asset(retry_policy=AGAIN)
        def failing() -> None:
            tried.append(allow_retries)
            raise Failure(allow_retries=allow_retries)

        assert not materialize([failing], instance=instance, raise_on_error=False).success
        return tried.count(allow_retries)

    assert (failing(allow_retries=True), failing(allow_retries=False)) == (2, 1)
