"""Work in a thread of its own, so that Ctrl-C ends a command within seconds whatever the work waits for.

Dagster answers a signal inside a step by retrying the step, and a source that stalls holds a call for minutes: neither
may keep a person waiting. Work is told to stop and gets a moment to end; what is committed is whole at any moment.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

Result = TypeVar("Result")
_THREAD = "stock-assets-work"
_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 4.0


def run_stoppable(work: Callable[[threading.Event], Result], *, before_grace: Callable[[], None]) -> Result:
    """Return `work(stop)`; after Ctrl-C `stop` is set, and work that watches it has a moment to end.

    `before_grace` is called first, once. Errors: what `work` raised, or `KeyboardInterrupt`.
    """
    stop = threading.Event()
    ending: Future[Result] = Future()

    def run() -> None:
        try:
            ending.set_result(work(stop))
        except BaseException as error:  # noqa: BLE001  raised again by whoever waits
            ending.set_exception(error)

    threading.Thread(target=run, name=_THREAD, daemon=True).start()
    try:
        # Short waits: on Windows a long one cannot be interrupted.
        while not ending.done():
            wait([ending], timeout=_LOOK_SECONDS)
    except KeyboardInterrupt:
        before_grace()
        stop.set()
        wait([ending], timeout=_GRACE_SECONDS)
        raise
    return ending.result()


def is_work_left() -> bool:
    """Return whether stopped work has not ended: then only ending the process ends it."""
    return any(thread.name == _THREAD and thread.is_alive() for thread in threading.enumerate())
