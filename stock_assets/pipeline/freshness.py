"""Whether each dataset is as new as it should be by now: by the exchanges' sessions and the ledger, never by a run's time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

from stock_assets.domain.calendar import FIRST_SESSION, SHANGHAI, TradingCalendar
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.snapshot_tables import CACHE_SNAPSHOT
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.storage import ledger
from stock_assets.storage.database import Connection

MARKET_DEADLINE: Final = time(20, 0)
"""Shanghai time by which a session's bars, factors, indicators and snapshot should be in the store."""

FINANCE_DEADLINE: Final = time(23, 0)
"""The same for the announcements up to a session, which are asked for later and may take longer."""

DEADLINES: Final[Mapping[str, time]] = {
    STOCK_DAILY.name: MARKET_DEADLINE,
    ADJUST_FACTOR.name: MARKET_DEADLINE,
    TECHNICAL_DAILY.name: MARKET_DEADLINE,
    CACHE_SNAPSHOT.name: MARKET_DEADLINE,
    FINANCE_INDICATOR.name: FINANCE_DEADLINE,
}
_REPAIRS: Final[Mapping[str, str]] = {
    STOCK_DAILY.name: "stock-assets nightly --date {due}",
    ADJUST_FACTOR.name: "stock-assets nightly --date {due}",
    TECHNICAL_DAILY.name: "stock-assets backfill-technicals --start {start} --end {due}",
    CACHE_SNAPSHOT.name: "stock-assets backfill-snapshots --start {start} --end {due}",
    FINANCE_INDICATOR.name: "stock-assets nightly --date {due}",
}


@dataclass(frozen=True, slots=True)
class Freshness:
    """How new a dataset is.

    `due` is the newest session whose deadline has passed, `status` what the ledger says of it (None: nothing), `newest` the
    newest closed session up to now, None when there is none, `behind` how many sessions up to `due` are newer than that.
    """

    dataset: str
    due: date
    status: str | None
    newest: date | None
    behind: int
    repair: str

    @property
    def is_fresh(self) -> bool:
        """Whether the session that is due is in the store as a whole, or proven empty."""
        return self.status in ledger.CLOSED

    @property
    def is_unused(self) -> bool:
        """Whether nothing of the dataset was ever loaded: then nothing has grown old."""
        return self.newest is None and self.status is None


def due_session(calendar: TradingCalendar, now: datetime, deadline: time) -> date:
    """Return the newest session whose `deadline` (Shanghai time of its own day) has passed at `now` (aware)."""
    local = now.astimezone(SHANGHAI)
    day = local.date()
    if calendar.is_session(day) and local.time() >= deadline:
        return day
    return calendar.previous(day) or FIRST_SESSION


def freshness(conn: Connection, calendar: TradingCalendar, now: datetime) -> list[Freshness]:
    """Return how new each dataset of DEADLINES is at `now` (aware), in that order."""
    newest: dict[str, date | None] = dict(ledger.summary(conn).select("dataset", "last_day").iter_rows())
    return [_freshness(conn, calendar, now, dataset, newest.get(dataset)) for dataset in DEADLINES]


def _freshness(
    conn: Connection, calendar: TradingCalendar, now: datetime, dataset: str, newest: date | None
) -> Freshness:
    due = due_session(calendar, now, DEADLINES[dataset])
    status = ledger.statuses(conn, dataset, [due]).get(due)
    late = calendar.between(FIRST_SESSION if newest is None else calendar.next(newest), due)
    if not late and status not in ledger.CLOSED:
        # A later session came first.
        late = [due]
    start = late[0] if late and newest is not None else due
    repair = _REPAIRS[dataset].format(start=start, due=due)
    if start != due and dataset in {STOCK_DAILY.name, ADJUST_FACTOR.name}:
        repair = f"stock-assets backfill-daily --start {start} --end {due}"
    return Freshness(dataset, due, status, newest, len(late), repair)
