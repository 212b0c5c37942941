"""Calls under way: none outlives the load that asked, whoever stops it."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets_tests.pipeline.conftest import SESSIONS, Workshop


class Stopped(Exception):
    """What a person who stops a load causes inside it."""


def stop(**_facts: object) -> None:
    """Stop at the first sign of progress."""
    raise Stopped


@pytest.mark.parametrize("load", [ingest_days, ingest_factors])
def test_a_stopped_load_ends_after_the_call_under_way(
    workshop: Workshop, load: Callable[[PipelineContext, list[object]], object]
) -> None:
    days = list(SESSIONS[-3:])
    # Reference data first: the calls of this test are those of the load.
    assert ingest_days(workshop.context, days[:1]).failure() is None
    workshop.server.latency_seconds = 0.5
    with pytest.raises(Stopped) as _held_with_its_frames:
        load(replace(workshop.context, progress=stop), days[1:])  # pyright: ignore[reportArgumentType]
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("fetch")] == []
