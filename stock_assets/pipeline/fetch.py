"""Calls out, answers in: in the plan's order, with at most so many under way at once.

A source that breaks several calls in a row counts as down, and a refusal that holds for every call (quota, rate, ban,
access, slots) ends the fetching: what is left unasked stays a gap for the next run.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TypeVar

from stock_assets.domain.answers import Answer, Broken, Refused, error_of
from stock_assets.domain.errors import AccessDenied, Banned, QuotaExhausted, RateLimited, SlotsTaken, StockAssetsError

T = TypeVar("T")
_ENDS_EVERYTHING = (Banned, QuotaExhausted, RateLimited, AccessDenied, SlotsTaken)


class SourceDown(Exception):
    """Internal: stop asking; `error` is what the run reports."""

    def __init__(self, error: StockAssetsError) -> None:
        super().__init__(str(error))
        self.error = error


def ends_everything(answer: Answer) -> bool:
    """Return whether an answer is a refusal that holds for every call: asking on is useless."""
    return isinstance(answer, Refused) and isinstance(answer.error, _ENDS_EVERYTHING)


def answers_in_order(
    calls: Sequence[T], make: Callable[[T], Answer], *, concurrency: int, breaks_in_a_row: int, source: str
) -> Generator[tuple[T, Answer]]:
    """Yield each call with its answer, in order; one call beyond `concurrency` is fetched ahead.

    Close it when it is left early: its end waits for the calls under way, so that none outlives whoever asked.

    Errors: `SourceDown` after the answer that shows that going on is useless was yielded.
    """
    broken = 0
    with closing(_ahead(calls, make, concurrency)) as ahead:
        for call, answer in ahead:
            yield call, answer
            error = error_of(answer, source=source, api=str(call))
            if isinstance(answer, Refused) and ends_everything(answer):
                raise SourceDown(answer.error)
            broken = broken + 1 if isinstance(answer, Broken) else 0
            if error is not None and broken >= breaks_in_a_row:
                raise SourceDown(error)


def _ahead(calls: Sequence[T], make: Callable[[T], Answer], concurrency: int) -> Generator[tuple[T, Answer]]:
    rest = iter(calls)
    with ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="fetch") as workers:
        waiting: deque[tuple[T, Future[Answer]]] = deque(
            (call, workers.submit(make, call)) for call in islice(rest, concurrency + 1)
        )
        try:
            while waiting:
                call, future = waiting.popleft()
                answer = future.result()
                if (following := next(rest, None)) is not None:
                    waiting.append((following, workers.submit(make, following)))
                yield call, answer
        finally:
            for _, future in waiting:
                future.cancel()
