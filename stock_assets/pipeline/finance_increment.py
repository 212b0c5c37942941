"""The lists of work of an increment: what was announced since the store last knew, for each stock from its own last day.

A stock is asked for when it failed before, was left behind, has published, or was never asked for. The others are known
to have published nothing and move on without a question. Who tells that makes the three lists: the disclosure calendar,
one call for all announcements of a day, or, where a source has neither, the days by which reports are due.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

import polars as pl

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import StillMissing
from stock_assets.domain.quarters import newest_open, opened_on, quarters_before
from stock_assets.pipeline.finance_desk import Desk, Landing
from stock_assets.pipeline.history import Batch
from stock_assets.quality.finance_versions import DISCLOSURE_SCHEMA
from stock_assets.sources.finance_planner import LATE_DAYS, look_back
from stock_assets.storage import finance_days, finance_progress, sync_tasks
from stock_assets.storage.database import Connection
from stock_assets.storage.sync_tasks import JobType

_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
# A report that could not be used for so long is not asked for again.
_YEAR: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class StockItem:
    """A stock to ask for, of periods from `since` on; `is_new` when it was never asked for."""

    ts_code: str
    since: date
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class DayItem:
    """A calendar day to ask about."""

    day: date


Item = StockItem | DayItem


@dataclass
class Increment:
    """What brings every stock to the desk's last day; `common` is the day that nearly all of them are known through.

    `failed` stocks have an open record, `new` ones were never asked for. Of those in `refused` a report came that could not be
    used: they are asked for once more, from its day on.
    """

    desk: Desk
    common: date
    failed: frozenset[str]
    new: frozenset[str]
    refused: dict[str, date] = field(default_factory=dict[str, date])
    job_type: JobType = "FINANCE_INCREMENTAL"
    asked_days: set[date] = field(default_factory=set[date])

    def remaining(self) -> Sequence[Item]:
        """Return the stocks to ask for, the days to ask about, and the new stocks."""
        stocks = self.stocks()
        wanted = self.to_ask(stocks.filter(pl.col("known_through") < self.desk.through))
        days = [DayItem(day) for day in self.days() if day not in self.asked_days]
        new = stocks.filter(pl.col("known_through").is_null(), pl.col("ts_code").is_in(list(self.new)))
        since = self.desk.context.since
        named = {item.ts_code for item in wanted}
        again = [StockItem(code, self.window(day)) for code, day in self.refused.items() if code not in named]
        return [*wanted, *again, *days, *(StockItem(code, since, is_new=True) for code in new["ts_code"])]

    def third_code(self, item: Item) -> str:
        """Return the stock or the day."""
        return item.ts_code if isinstance(item, StockItem) else item.day.isoformat()

    def work(self, batch: Batch[Item]) -> None:
        """Ask about the batch's days, each in its own transaction, then for its stocks, all in one."""
        for item in batch.items:
            if isinstance(item, DayItem):
                self.ask_day(batch, item)
        if stocks := [item for item in batch.items if isinstance(item, StockItem)]:
            self._ask_stocks(batch, stocks)

    def to_ask(self, stocks: pl.DataFrame) -> list[StockItem]:
        """Return whom to ask for of the stocks that are known less far than the last day."""
        behind = stocks.filter(pl.col("known_through") < self.common).select("ts_code", "known_through")
        return [StockItem(code, self.window(through)) for code, through in behind.iter_rows()]

    def days(self) -> list[date]:
        """Return the days to ask about, a few that were asked about before included: what was told late is found."""
        through = self.desk.through
        if self.common >= through:
            return []
        first = self.common - (LATE_DAYS - 1) * _DAY
        return [first + offset * _DAY for offset in range((through - first).days + 1)]

    def ask_day(self, batch: Batch[Item], item: DayItem) -> None:
        """Ask about one day, land what came, and move on whom it says to have published nothing."""
        raise NotImplementedError

    def disclosed(self) -> pl.DataFrame:
        """Return who is known to have published what (DISCLOSURE_SCHEMA)."""
        return pl.DataFrame(schema=DISCLOSURE_SCHEMA)

    def window(self, day: date) -> date:
        """Return the first day of the periods to ask for when news since `day` are wanted."""
        context = self.desk.context
        return max(context.since, quarters_before(day, look_back(context.source.costs)))

    def stocks(self) -> pl.DataFrame:
        """Return every stock with its progress."""
        return read_stocks(self.desk)

    def _ask_stocks(self, batch: Batch[Item], items: Sequence[StockItem]) -> None:
        desk, context = self.desk, self.desk.context
        for item in items:
            self.refused.pop(item.ts_code, None)
        came = desk.ask_stocks({item.ts_code: item.since for item in items})
        told = self.disclosed().filter(pl.col("ts_code").is_in(came.answered))
        landing = desk.ready(came.frames)
        absent = self._absent(told.join(landing.reports.unique(), on=["ts_code", "end_date"], how="anti"))
        errors = came.errors | {code: StillMissing(item=code) for code in absent["ts_code"]}
        done = [item for item in items if item.ts_code in came.answered and item.ts_code not in errors]
        for item in items:
            if item.ts_code in errors:
                batch.failed(item, errors[item.ts_code])

        # An answer about a stock has all that was announced by now, however long ago the asked day is.
        reached = max(desk.through, context.last_final())

        def note(conn: Connection) -> None:
            asked = context.asked(landing.fetched_at)
            new = [item.ts_code for item in done if item.is_new]
            finance_progress.save(conn, asked, new, first_period=context.since, known_through=reached)
            known = [item.ts_code for item in done if not item.is_new]
            finance_progress.reach(conn, asked, known, known_through=reached)

        if came.answered:
            desk.land(batch, done, landing, note, disclosures=told)
        if came.down is not None:
            raise came.down

    def _absent(self, told: pl.DataFrame) -> pl.DataFrame:
        """Return the published reports that the store has no version of."""
        context = self.desk.context
        if told.is_empty():
            return told.select("ts_code", "end_date")
        with context.database.read() as conn:
            return finance_progress.without_report(conn, context.source.name, told)


@dataclass
class ByDisclosure(Increment):
    """Days are asked who has published; then those are asked for."""

    published: list[pl.DataFrame] = field(default_factory=list[pl.DataFrame])

    def to_ask(self, stocks: pl.DataFrame) -> list[StockItem]:
        """Return those behind and, once every day was asked about, those that have published since they were known."""
        behind = super().to_ask(stocks)
        if self.asked_days != set(self.days()):
            return behind
        rest = stocks.filter(~pl.col("ts_code").is_in([item.ts_code for item in behind]))
        return [*behind, *self._publishers(rest)]

    def ask_day(self, batch: Batch[Item], item: DayItem) -> None:
        """Ask who has published on one day; after the last day everybody else moves on."""
        desk, source = self.desk, self.desk.context.source
        frame = desk.ask(str(item.day), lambda: source.published_on(item.day))
        if frame is not None:
            self.published.append(source.translate_published(frame))
        self.asked_days.add(item.day)
        landing = Landing(None, desk.context.now())

        def note(conn: Connection) -> None:
            if self.asked_days == set(self.days()):
                stay = [wanted.ts_code for wanted in self.to_ask(self.stocks())]
                finance_progress.move_on(
                    conn, desk.context.asked(landing.fetched_at), known_through=desk.through, from_day=self.common,
                    except_codes=stay,
                )  # fmt: skip

        desk.land(batch, [item], landing, note)

    def disclosed(self) -> pl.DataFrame:
        """Return who has published on the days that were asked about."""
        told = pl.concat([pl.DataFrame(schema=DISCLOSURE_SCHEMA), *self.published])
        # Reports for periods before the first wanted one are not asked for.
        return told.filter(pl.col("end_date") >= self.desk.context.since).unique(["ts_code", "end_date"], keep="last")

    def _publishers(self, stocks: pl.DataFrame) -> list[StockItem]:
        """Return those of the stocks that published after they were known, or a report that the store lacks."""
        told = self.disclosed()
        absent = self._absent(told).with_columns(is_absent=pl.lit(value=True))
        is_due = (pl.col("actual_date") > pl.col("known_through")) | pl.col("is_absent").fill_null(value=False)
        due = (
            told.join(absent, on=["ts_code", "end_date"], how="left")
            .join(stocks.select("ts_code", "known_through"), on="ts_code")
            .filter(is_due)
            .group_by("ts_code")
            .agg(pl.col("end_date").min())
            .sort("ts_code")
        )
        return [StockItem(code, self.window(end)) for code, end in due.iter_rows()]


@dataclass
class ByMarketDay(Increment):
    """One call brings all announcements of a day, of whichever stocks."""

    def ask_day(self, batch: Batch[Item], item: DayItem) -> None:
        """Land the announcements of one day: whoever was known through the day before is known through this one."""
        desk, day = self.desk, item.day
        frame = desk.ask(str(day), lambda: desk.context.source.reports_of_day(day))
        # Of a report only the announcements of this day are in it.
        landing = desk.ready([] if frame is None else [frame], is_whole=False)
        self.asked_days.add(day)

        def note(conn: Connection) -> None:
            asked = desk.context.asked(landing.fetched_at)
            finance_progress.move_on(conn, asked, known_through=day, from_day=day - _DAY)

        desk.land(batch, [item], landing, note)


@dataclass
class ByDeadline(Increment):
    """Nobody tells who has published: whose report may be out by law is asked for, not more than once a week."""

    def to_ask(self, stocks: pl.DataFrame) -> list[StockItem]:
        """Return whose newest open report is not there and was not asked for within a week, or failed."""
        through = self.desk.through
        opened = opened_on(newest_open(through))
        items: list[StockItem] = []
        for code, asked_on, since in self._waiting(stocks):
            if asked_on < opened or asked_on <= through - _WEEK or code in self.failed:
                items.append(StockItem(code, since))
        return items

    def days(self) -> list[date]:
        """Return the last day alone: on it those move on whose reports are all there."""
        return [self.desk.through] if self.common < self.desk.through else []

    def ask_day(self, batch: Batch[Item], item: DayItem) -> None:
        """Move on whose newest open report is there; nothing is asked."""
        desk = self.desk
        landing = Landing(None, desk.context.now())
        self.asked_days.add(item.day)

        def note(conn: Connection) -> None:
            stay = [code for code, *_ in self._waiting(self.stocks())]
            asked = desk.context.asked(landing.fetched_at)
            finance_progress.move_on(conn, asked, known_through=item.day, from_day=date.min, except_codes=stay)

        desk.land(batch, [item], landing, note)

    def _waiting(self, stocks: pl.DataFrame) -> list[tuple[str, date, date]]:
        """Return of each known stock without its newest open report: code, day last asked, first day of what to ask for."""
        context, period = self.desk.context, newest_open(self.desk.through)
        with context.database.read() as conn:
            newest = finance_progress.newest_periods(conn, context.source.name)
        known = stocks.filter(
            pl.col("known_through") < self.desk.through,
            pl.col("delist_date").is_null() | (pl.col("delist_date") > period),
        )
        waiting: list[tuple[str, date, date]] = []
        for code, fetched_at in known.select("ts_code", "fetched_at").iter_rows():
            last = newest.get(code)
            if last is None or last < period:
                # Without any report the last year is enough: a history has asked for all.
                since = quarters_before(period, 4) if last is None else last + _DAY
                waiting.append((code, fetched_at.astimezone(SHANGHAI).date(), max(context.since, since)))
        return waiting


def increment_of(desk: Desk) -> Increment:
    """Return the list that fits the source, after one look at the store."""
    context = desk.context
    stocks = read_stocks(desk)
    with context.database.read() as conn:
        failed = frozenset(record.third_code for record in sync_tasks.open_failures(conn, "FINANCE_INCREMENTAL"))
        after = max(context.since - _DAY, desk.through - _YEAR)
        unused = finance_days.refused_reports(conn, context.source.name, after=after, through=desk.through)
    lives = pl.col("delist_date").is_null() | (pl.col("delist_date") > context.since)
    never = stocks.filter(pl.col("known_through").is_null(), pl.col("list_date") <= desk.through, lives)
    # The newest listed first: the day that they keep open is the one at hand.
    never = never.sort("list_date", "ts_code", descending=[True, False])["ts_code"].to_list()
    limited = [code for code in never if code not in failed][: context.missing_limit]
    kind = _kind_of(desk)
    together = context.source.costs.stocks_per_call(look_back(context.source.costs) + 1)
    common = common_day(stocks, desk.through, failed, stocks_per_call=together)
    first = unused.drop_nulls("ts_code").group_by("ts_code").agg(pl.col("end_date").min()).sort("ts_code")
    known = first.join(stocks.drop_nulls("known_through"), on="ts_code", how="semi").head(context.missing_limit)
    return kind(desk, common, failed, frozenset(limited) | (failed & {*never}), dict(known.iter_rows()))


def common_day(stocks: pl.DataFrame, through: date, failed: Collection[str], *, stocks_per_call: int) -> date:
    """Return the day from which on asking about days, and for those known less far one by one, takes the fewest calls.

    Those that failed are asked for one by one in any case. Without another known stock it is `through`.
    """
    known = stocks.filter(pl.col("known_through").is_not_null(), ~pl.col("ts_code").is_in(list(failed)))
    ends = sorted(min(day, through) for day in known["known_through"])
    best, fewest = through, -(-len(ends) // stocks_per_call)
    for day in sorted(set(ends)):
        calls = (through - day).days - (-bisect_left(ends, day) // stocks_per_call)
        if calls <= fewest:
            best, fewest = day, calls
    return best


def read_stocks(desk: Desk) -> pl.DataFrame:
    """Return every stock that the source knows with its progress."""
    context = desk.context
    with context.database.read() as conn:
        return finance_progress.read_stocks(conn, context.source.name, context.source.costs.exchanges)


def _kind_of(desk: Desk) -> type[Increment]:
    costs = desk.context.source.costs
    if costs.has_market_calls:
        return ByMarketDay
    return ByDisclosure if costs.has_disclosures else ByDeadline
