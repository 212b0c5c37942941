"""How far a run has come, in the run's own log: whoever watches its page sees that it works, and how long it will."""

from collections.abc import Generator
from contextlib import contextmanager

from dagster import DagsterLogManager

from stock_assets.pipeline.context import no_progress
from stock_assets.pipeline.progress_lines import USUALLY_COUNTED, ProgressLines
from stock_assets.wiring import Installation


@contextmanager
def progress_in_log(log: DagsterLogManager, store: Installation) -> Generator[None]:
    """Tell the run's log every ten seconds, unless somebody is told already, as the command line is."""
    if store.progress is not no_progress:
        yield
        return
    store.progress = ProgressLines(log.info, store.settings.language, counted=USUALLY_COUNTED)
    try:
        yield
    finally:
        store.progress = no_progress
