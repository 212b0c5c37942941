"""Which (stock, day) pairs are missing, in blocks of bounded size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

import polars as pl

from stock_assets.domain.calendar import SHANGHAI, TradingCalendar, is_final, published_at
from stock_assets.domain.codes import EXCHANGES, Exchange
from stock_assets.domain.completeness import SourcesInUse
from stock_assets.domain.errors import InvalidInput, NotReady
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import asked_gaps, coverage
from stock_assets.storage.database import Database

# Gaps planned, fetched and held in memory at once: about a year of the whole market.
_BLOCK_GAPS = 1_400_000


@dataclass(frozen=True, slots=True)
class Scope:
    """What a source is asked for: `own` exchanges may be asked for anew, of `shared` ones it fills what others left.

    What the source called `name` has proven to have none of, it is not asked for again.
    """

    own: frozenset[Exchange] = EXCHANGES
    shared: frozenset[Exchange] = frozenset()
    name: str | None = None

    @property
    def is_first(self) -> bool:
        """Return whether no source before has anything of what this one is asked for."""
        return not self.shared

    @property
    def sources(self) -> SourcesInUse | None:
        """Who must have proven to have none of a gap to leave it out: this source."""
        return None if self.name is None else {self.name: self.own | self.shared}


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Block:
    """Sessions with gaps: the gaps (ts_code, trade_date), and how many rows a whole-market answer of each session has."""

    gaps: pl.DataFrame
    rows_of_day: dict[date, int]


def check_days(calendar: TradingCalendar, now: datetime, days: Sequence[date]) -> None:
    """Refuse days on which nothing can be there yet, or ever.

    Errors: `InvalidInput` for no day at all or one that is no session, `NotReady` for one that is not published yet.
    """
    if not days:
        raise InvalidInput(problem="there is no trading day in this range", problem_zh="这个区间内没有交易日")
    for day in days:
        if not calendar.is_session(day):
            raise InvalidInput(problem=f"{day} is not a trading day", problem_zh=f"{day} 不是交易日")
    last = max(days)
    if not is_final(last, now):
        ready_at = published_at(last).astimezone(SHANGHAI)
        raise NotReady(
            trade_date=last,
            reason="before the source's published time",
            ready_at=f"{ready_at:%Y-%m-%d %H:%M}",
        )


def blocks_of_gaps(  # noqa: PLR0913  (each has its default)
    database: Database,
    days: Sequence[date],
    ts_codes: Sequence[str] | None,
    *,
    refetch: bool = False,
    scope: Scope = EVERYTHING,
    due_at: datetime | None = None,
) -> Iterator[Block]:
    """Yield the gaps of `days` oldest first; days without a gap are left out.

    With `refetch` every listed stock of the scope's own exchanges counts as a gap on every day, and so it does on a day
    that lacks no bar but has refused rows that nobody has answered for since; of shared ones only missing bars do. With
    `due_at` gaps are left out that the scope's source was asked for and need not be asked for again by then. The store is
    asked anew for each block.
    """
    wanted = sorted(days)
    missing = partial(coverage.missing_bars, sources=scope.sources)
    others, theirs = EXCHANGES - scope.own - scope.shared, EXCHANGES - scope.own
    with database.read() as conn:
        counts = coverage.day_counts(conn, wanted[0], wanted[-1], exclude_exchanges=others, sources=scope.sources)
    counts = counts.filter(pl.col("trade_date").is_in(wanted))
    is_disputed = (pl.col("present") == pl.col("expected")) & (pl.col("rejected") > 0)
    is_asked_whole = pl.lit(refetch) | (is_disputed & pl.lit(ts_codes is None and not scope.shared))
    counts = counts.with_columns(is_asked_whole.alias("is_whole"))
    size = pl.when("is_whole").then("expected").otherwise(pl.col("expected") - pl.col("present"))
    rows_of_day = dict(counts.select("trade_date", "expected").iter_rows())
    sized = counts.sort("trade_date").with_columns(size.alias("size")).filter(pl.col("size") > 0)
    for part in sized.with_columns((pl.col("size").cum_sum() // _BLOCK_GAPS).alias("block")).partition_by(
        "block", maintain_order=True
    ):
        chosen = part["trade_date"].to_list()
        asked_whole = part.filter("is_whole")["trade_date"].to_list()
        with database.read() as conn:
            gaps = pl.concat(
                find(conn, days[0], days[-1], ts_codes=ts_codes, exclude_exchanges=left_out).filter(
                    pl.col("trade_date").is_in(days)
                )
                for find, left_out, days in (
                    (coverage.expected_bars, theirs, asked_whole),
                    (missing, others | scope.own, asked_whole if scope.shared else []),
                    (missing, others, part.filter(~pl.col("is_whole"))["trade_date"].to_list()),
                )
                if days
            )
            if due_at is not None and scope.sources is not None:
                gaps = asked_gaps.due(conn, STOCK_DAILY.name, gaps, now=due_at, sources=scope.sources)
        if not gaps.is_empty():
            yield Block(gaps, {day: rows for day, rows in rows_of_day.items() if chosen[0] <= day <= chosen[-1]})
