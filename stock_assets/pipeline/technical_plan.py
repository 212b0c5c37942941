"""Which days' indicators are to be computed: the ledger's lines of bars and of indicators, laid side by side."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from stock_assets.domain.errors import InvalidInput
from stock_assets.pipeline.technical_digests import day_digests, fact_marks
from stock_assets.storage import technicals
from stock_assets.storage.database import Connection


def bars_missing(day: date) -> InvalidInput:
    """Return why the indicators of a day whose bars are not loaded cannot be computed."""
    load = f"stock-assets backfill-daily --start {day} --end {day}"
    return InvalidInput(
        problem=f"the bars of {day} are not loaded, so its indicators cannot be computed; load them: {load}",
        problem_zh=f"{day} 的日线尚未装载，无法计算技术指标；请先装载：{load}",
    )


@dataclass(frozen=True, slots=True)
class TechnicalPlan:
    """The state of every day whose bars are loaded, in order.

    `lines` has trade_date, the bars' status, rows, detail and source, `known`, the digest that the day's indicators have
    in the ledger, and `expected`, the one they should have: a day is stale when the two differ.
    """

    lines: pl.DataFrame
    facts: pl.DataFrame

    @classmethod
    def read(cls, conn: Connection, version: str) -> "TechnicalPlan":
        """Return the state of the store. Whatever is read of it later is at least as new: a day never looks fresher than it is."""
        lines, facts = technicals.day_lines(conn), technicals.read_facts(conn)
        marks = facts.with_columns(fact_marks(facts))
        return cls(lines.with_columns(day_digests(lines, technicals.factor_marks(conn), marks, version)), facts)

    @property
    def computed_through(self) -> date | None:
        """Return the newest day whose indicators were ever computed."""
        known = self.lines.filter(pl.col("known").is_not_null())["trade_date"]
        return known[-1] if len(known) else None

    @property
    def last_day(self) -> date | None:
        """Return the newest day whose bars are loaded."""
        return self.lines["trade_date"][-1] if self.lines.height else None

    def stale(self, asked: Sequence[date]) -> pl.DataFrame:
        """Return the lines to work on, in order: what is stale up to the newest day asked, and up to the newest computed one.

        A value depends on all days before, so that none of these can be left out.
        """
        last = max(asked)
        if self.computed_through is not None:
            last = max(last, self.computed_through)
        is_stale = pl.col("known").ne_missing(pl.col("expected"))
        return self.lines.filter(is_stale & (pl.col("trade_date") <= last))

    def fresh_through(self, stale: pl.DataFrame) -> date | None:
        """Return the newest day that was computed and is not among `stale`, or None."""
        fresh = self.lines.filter(pl.col("known").is_not_null()).join(stale, on="trade_date", how="anti")["trade_date"]
        return fresh[-1] if len(fresh) else None

    def day_before(self, day: date) -> date:
        """Return the loaded day before `day`, or a day before all markets."""
        earlier = self.lines.filter(pl.col("trade_date") < day)["trade_date"]
        return earlier[-1] if len(earlier) else date.min

    def token(self, last: date) -> str:
        """Return what tells all indicators up to `last` apart from those of any other state of the store."""
        digests = self.lines.filter(pl.col("trade_date") <= last)["expected"]
        return hashlib.md5("".join(digests).encode(), usedforsecurity=False).hexdigest()
