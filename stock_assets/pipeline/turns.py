"""Whose turn it is: the first source is asked for all it has, each next one for what is still missing then.

An exchange belongs to the first source that has it: only that one is asked again for what is already there. So two sources
never take turns in overwriting each other's rows, and what a source was down, refused or late for comes from the next.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import structlog

from stock_assets.domain.codes import Exchange
from stock_assets.domain.errors import StockAssetsError
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.fetch import SourceDown
from stock_assets.pipeline.gaps import Scope
from stock_assets.pipeline.report import IngestReport

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """One source's turn: the context with this source alone, and what it is asked for."""

    context: PipelineContext
    scope: Scope


def turns(context: PipelineContext) -> Iterator[Turn]:
    """Yield the sources of a run in order."""
    had = frozenset[Exchange]()
    for source in (context.source, *context.fallbacks):
        yield Turn(
            replace(context, source=source, fallbacks=(), sources_in_use=context.in_use),
            Scope(source.exchanges - had, source.exchanges & had, source.name),
        )
        had |= source.exchanges


def work_in_turn(context: PipelineContext, report: IngestReport, work: Callable[[Turn], None]) -> None:
    """Let each source do its part of the work; what one that goes down leaves, the next may bring.

    The report is stopped only when a source went down and none after it had what it left. One that went down in an earlier
    part of the same run is not asked again.
    """
    left: dict[Exchange, StockAssetsError] = {}
    for turn in turns(context):
        scope = turn.scope
        if (earlier := report.handed_on.get(turn.context.source.name)) is not None:
            left |= dict.fromkeys(scope.own, earlier)
            continue
        try:
            work(turn)
        except SourceDown as down:
            name = turn.context.source.name
            report.handed_on[name] = down.error
            left |= dict.fromkeys(scope.own, down.error)
            _log.warning("source.down", source=name, reason=str(down.error))
        else:
            for exchange in scope.own | scope.shared:
                left.pop(exchange, None)
    report.stopped_by = next(iter(left.values()), None)
