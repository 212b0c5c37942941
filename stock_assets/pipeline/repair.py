"""What some days lack and could be had now, and the one run of the same assets that brings it.

Bars and factors come first, and what is made of them with them; what is lost of indicators and snapshots alone comes when
nothing is left to fetch. Which calls fill the gaps is decided by the run itself: its planner sees all of them at once.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import polars as pl

from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.completeness import SourcesInUse
from stock_assets.domain.frame_digest import digest_of
from stock_assets.domain.snapshot_tables import CACHE_SNAPSHOT
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.storage import asked_gaps, completeness, ledger
from stock_assets.storage.asked_gaps import GAP_SCHEMA
from stock_assets.storage.database import Connection

# A store that was off for longer than its window is brought up to date from its newest day on, but no further back.
_LONGEST = timedelta(days=366)
_DIGITS = 16
# Until then the evening's own schedule asks for the newest day.
_END_OF_EVENING = time(23, 45)


@dataclass(frozen=True, slots=True)
class Gaps:
    """What is missing and worth a run now, by dataset; every frame has ts_code (null: the whole day) and trade_date.

    `waiting` counts bars that sources were asked for and lack: they are not asked for again yet. `keeps_snapshots` says
    whether the store has ever had one, `last_snapshot` is the newest of these days that has.
    """

    bars: pl.DataFrame
    factors: pl.DataFrame
    technicals: pl.DataFrame
    snapshots: pl.DataFrame
    waiting: int = 0
    keeps_snapshots: bool = False
    last_snapshot: date | None = None

    @property
    def days(self) -> list[date]:
        """The days that lack anything, in order."""
        return _days_of(self.bars, self.factors, self.technicals, self.snapshots)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is missing that could be had now."""
        return not self.days


@dataclass(frozen=True, slots=True)
class Repair:
    """A run: the assets, in their order, over [first, last], and a digest that two runs for the same gaps share."""

    assets: tuple[str, ...]
    first: date
    last: date
    digest: str


def window(calendar: TradingCalendar, known: Collection[date], *, until: date, days: int) -> list[date]:
    """Return the sessions that are looked at: of so many days up to `until`, since the store's first day.

    After a longer outage they begin where the store ends. A store without any day has no window. `known` are the days of
    which the ledger has bars.
    """
    if not known:
        return []
    usual = max(until - timedelta(days=days), min(known))
    first = max(min(usual, max(known)), until - max(_LONGEST, timedelta(days=days)))
    return calendar.between(first, until)


def days_looked_at(conn: Connection, calendar: TradingCalendar, now: datetime, days: int) -> list[date]:
    """Return the sessions that are looked at without anybody asking, of so many days; none for an empty store.

    The newest one belongs to its own evening until that is over.
    """
    local, until = now.astimezone(SHANGHAI), calendar.last_final(now)
    if until == local.date() and local.time() < _END_OF_EVENING:
        until = calendar.previous(until) or until
    return window(calendar, ledger.known_days(conn, STOCK_DAILY.name), until=until, days=days)


def find_gaps(
    conn: Connection, days: Sequence[date], *, now: datetime, sources: SourcesInUse, leave_out: Collection[date] = ()
) -> Gaps:
    """Return what `days` (in order) lack and could be had at `now`; days to `leave_out` are being worked on."""
    first, last = days[0], days[-1]
    covered = {exchange for exchanges in sources.values() for exchange in exchanges}
    here = pl.col("trade_date").is_in(list(days)) & ~pl.col("trade_date").is_in(list(leave_out))
    found = {
        dataset: completeness.open_gaps(conn, dataset, first, last, sources=sources)
        .filter(here)
        .select(list(GAP_SCHEMA))
        for dataset in (STOCK_DAILY.name, ADJUST_FACTOR.name, TECHNICAL_DAILY.name, CACHE_SNAPSHOT.name)
    }
    is_covered = pl.col("ts_code").str.slice(7).is_in(list(covered))
    snapshot_days = ledger.known_days(conn, CACHE_SNAPSHOT.name)
    bars = found[STOCK_DAILY.name].filter(pl.col("ts_code").is_null() | is_covered)
    due = asked_gaps.due(conn, STOCK_DAILY.name, bars, now=now, sources=sources)
    return Gaps(
        bars=due,
        factors=_due_factors(conn, found[ADJUST_FACTOR.name], first, last, now=now, sources=sources),
        technicals=found[TECHNICAL_DAILY.name],
        snapshots=_worth_making(conn, found[CACHE_SNAPSHOT.name], first, last),
        waiting=bars.height - due.height,
        keeps_snapshots=bool(snapshot_days),
        last_snapshot=max(snapshot_days.intersection(days).difference(leave_out), default=None),
    )


def next_repair(gaps: Gaps) -> Repair | None:
    """Return the run that comes first; None when nothing is to be done."""
    made = [TECHNICAL_DAILY.name, *([CACHE_SNAPSHOT.name] if gaps.keeps_snapshots else [])]
    if fetched := _days_of(gaps.bars, gaps.factors):
        assets = [STOCK_DAILY.name] if gaps.bars.height else []
        changed = _through(fetched, gaps.last_snapshot)
        return _repair([*assets, ADJUST_FACTOR.name, *made], changed, gaps.bars, gaps.factors)
    if lost := _days_of(gaps.technicals):
        return _repair(made, lost, gaps.technicals)
    if unmade := _days_of(gaps.snapshots):
        return _repair([CACHE_SNAPSHOT.name], _through(unmade, gaps.last_snapshot), gaps.snapshots)
    return None


def _repair(assets: Sequence[str], days: Sequence[date], *reason: pl.DataFrame) -> Repair:
    digest = digest_of(pl.concat(reason).sort("trade_date", "ts_code"))[:_DIGITS]
    return Repair(tuple(assets), days[0], days[-1], digest)


def _through(days: Sequence[date], last_snapshot: date | None) -> Sequence[date]:
    """Return days that reach to the newest snapshot: what a day lacked has changed the indicators of later days too."""
    return days if last_snapshot is None or last_snapshot <= days[-1] else [*days, last_snapshot]


def _due_factors(  # noqa: PLR0913  the gaps, and who is asked when
    conn: Connection, gaps: pl.DataFrame, first: date, last: date, *, now: datetime, sources: SourcesInUse
) -> pl.DataFrame:
    """Return the gaps of factors without those that whoever answered for the day lacks and need not be asked for again yet."""
    waiting = pl.concat(
        [
            asked_gaps.waiting(conn, ADJUST_FACTOR.name, first, last, now=now, sources={name: exchanges})
            for name, exchanges in sources.items()
        ]
    )
    is_known = pl.struct("ts_code", "trade_date").is_in(
        waiting.select(pl.struct("ts_code", "trade_date")).to_series().implode()
    )
    is_of_day = pl.col("ts_code").is_null() & pl.col("trade_date").is_in(waiting["trade_date"].implode())
    return gaps.filter(~is_known.fill_null(value=False) & ~is_of_day)


def _worth_making(conn: Connection, snapshots: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """Return the days whose bars and indicators are there and newer than what is known of their snapshot.

    One that says that it lacks a bar will say so for as long as the store lacks it.
    """
    bars, technicals, known = (
        ledger.read_entries(conn, dataset, first, last).select("trade_date", "rows_present", "finished_at")
        for dataset in (STOCK_DAILY.name, TECHNICAL_DAILY.name, CACHE_SNAPSHOT.name)
    )
    inputs = pl.concat([bars, technicals]).filter(pl.col("rows_present") > 0).group_by("trade_date")
    newest = inputs.agg(pl.col("finished_at").max().alias("inputs_at"), pl.len())
    both = newest.filter(pl.col("len") == len((bars, technicals)))
    stale = both.join(known.select("trade_date", made_at="finished_at"), on="trade_date", how="left").filter(
        pl.col("made_at").is_null() | (pl.col("made_at") < pl.col("inputs_at"))
    )
    return snapshots.join(stale.select("trade_date"), on="trade_date", how="semi", maintain_order="left")


def _days_of(*frames: pl.DataFrame) -> list[date]:
    return sorted({day for frame in frames for day in frame["trade_date"]})
