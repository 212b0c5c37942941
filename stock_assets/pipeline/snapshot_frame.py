"""One day's snapshot made of its inputs: frames in, a frame and its identity out. Nothing is read or written here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.frame_digest import digest_of, digest_of_facts
from stock_assets.domain.tables import ADJUST_FACTOR, SECURITY, STOCK_DAILY, TRADING_DAY
from stock_assets.domain.universe import with_first_listing
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.pipeline.snapshot_columns import (
    BARS,
    CODE_VERSION,
    DESCRIPTION,
    FIGURES,
    FLAGS,
    LIMIT_FLAGS,
    NEW_FOR_SESSIONS,
    REPORT_DAYS,
    Layout,
    layout_of,
)

SCHEMA, CODE = "schema", "code"
"""What an identity names besides the tables that rows came from."""

_ID_DIGITS: Final = 16
_BAR_COLUMNS: Final = ("ts_code", *FLAGS, *BARS)
_REPORT_COLUMNS: Final = ("ts_code", *REPORT_DAYS, *FIGURES)
_LISTING: Final = ("ts_code", *DESCRIPTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotInputs:
    """What was read for one day; frames may hold more rows and columns than the snapshot takes, in any order.

    `securities`: every stock ever listed. `bars`, `technicals` (back-adjusted, without states): rows of the day, one for a
    stock at most. `factors` (ts_code, back_adjust_factor): in force on the day; a stock without one has 1. `reports`: of
    each stock the newest report known on the day. `sessions`: the exchanges' trading days in order.
    """

    trade_date: date
    securities: pl.DataFrame
    bars: pl.DataFrame
    technicals: pl.DataFrame
    factors: pl.DataFrame
    reports: pl.DataFrame
    sessions: pl.Series


@dataclass(frozen=True, slots=True, kw_only=True)
class DayContent:
    """The rows that one day's snapshot is made of: of listed stocks, by code, with the columns that count."""

    trade_date: date
    listed: pl.DataFrame
    bars: pl.DataFrame
    technicals: pl.DataFrame
    factors: pl.DataFrame
    reports: pl.DataFrame
    sessions: pl.Series
    layout: Layout

    @property
    def without_bar(self) -> int:
        """Return how many listed stocks have no bar of the day."""
        return self.listed.height - self.bars.height

    @property
    def without_technicals(self) -> int:
        """Return how many stocks traded and have no indicators of the day."""
        return self.bars.filter(~pl.col("is_suspended")).join(self.technicals, on="ts_code", how="anti").height

    def inputs(self) -> dict[str, str]:
        """Return the digest of each input by its name, and of the layout and the version of the code."""
        columns = [f"{column.name} {column.kind} {column.comment}" for column in self.layout.table.columns]
        return {
            STOCK_DAILY.name: digest_of(self.bars),
            TECHNICAL_DAILY.name: digest_of(self.technicals),
            ADJUST_FACTOR.name: digest_of(self.factors),
            FINANCE_INDICATOR.name: digest_of(self.reports),
            SECURITY.name: digest_of(self.listed),
            TRADING_DAY.name: digest_of(self.sessions.to_frame("trade_date")),
            SCHEMA: digest_of_facts({"columns": columns}, digits=32),
            CODE: CODE_VERSION,
        }

    def identity(self) -> "Identity":
        """Return what the snapshot is called, and why."""
        inputs = self.inputs()
        facts = {"trade_date": str(self.trade_date), **inputs}
        return Identity(digest_of_facts(facts, digits=_ID_DIGITS), inputs)

    def frame(self) -> pl.DataFrame:
        """Return the snapshot, conformed, by code."""
        joined = (
            self.listed.with_columns(pl.lit(self.trade_date).alias("trade_date"), self._age())
            .join(self.bars, on="ts_code", how="left", maintain_order="left")
            .join(self.factors, on="ts_code", how="left", maintain_order="left")
            .join(self.technicals, on="ts_code", how="left", maintain_order="left")
            .join(self.reports, on="ts_code", how="left", maintain_order="left")
            .with_columns(pl.col("back_adjust_factor").fill_null(1.0).alias("adjust_factor"))
        )
        is_suspended = pl.col("is_suspended")
        return self.layout.table.conform(
            joined.with_columns(
                *(pl.col(name) / pl.col("adjust_factor") for name in self.layout.prices),
                # Nobody trades at a limit who does not trade.
                *(pl.when(is_suspended).then(False).otherwise(pl.col(name)).alias(name) for name in LIMIT_FLAGS),
                (pl.col("days_since_listing") < NEW_FOR_SESSIONS).fill_null(value=False).alias("is_new_listing"),
                pl.when(is_suspended.is_null())
                .then(pl.lit("missing"))
                .when(is_suspended)
                .then(pl.lit("suspended"))
                .otherwise(pl.lit("traded"))
                .alias("status"),
            )
        )

    def _age(self) -> pl.Series:
        """Return the sessions after each listing, up to the day; null for a listing before the calendar begins."""
        listed = self.listed["list_date"]
        begin = pl.Series(self.sessions.search_sorted(listed, side="left"), dtype=pl.Int64)
        known = pl.Series(listed >= self.sessions.first())
        ages = pl.DataFrame({"age": self.sessions.len() - 1 - begin, "known": known})
        return (
            ages.select(pl.when("known").then(pl.col("age").clip(lower_bound=0)))
            .to_series()
            .alias("days_since_listing")
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """What a snapshot is called, and the digests that the name is made of."""

    snapshot_id: str
    inputs: Mapping[str, str]

    def reason(self, before: Mapping[str, str] | None) -> str:
        """Return in words why this is another snapshot than the one with the inputs `before`, Chinese first."""
        if before is None:
            return "当日首个快照 | the first snapshot of the day"
        names = [name for name in {**self.inputs, **before} if self.inputs.get(name) != before.get(name)]
        if not names:
            return "文件缺失或损坏，已重新写入 | the file was missing or damaged and was written again"
        return f"{'、'.join(names)} 有变化 | {', '.join(names)} changed"


def content_of(inputs: SnapshotInputs, layout: Layout | None = None) -> DayContent:
    """Return of what was read the part that the day's snapshot is made of; without a layout, the one every store has."""
    layout = layout or layout_of()
    day = inputs.trade_date
    there = inputs.securities.filter(
        pl.col("list_date") <= day, pl.col("delist_date").is_null() | (pl.col("delist_date") > day)
    )
    listed = with_first_listing(there, inputs.securities).select(_LISTING).sort("ts_code")

    def part(rows: pl.DataFrame, names: list[str]) -> pl.DataFrame:
        return rows.select(names).join(listed, on="ts_code", how="semi").sort("ts_code")

    return DayContent(
        trade_date=day,
        listed=listed,
        bars=part(inputs.bars, list(_BAR_COLUMNS)),
        technicals=part(inputs.technicals, ["ts_code", *layout.technicals]),
        factors=part(inputs.factors, ["ts_code", "back_adjust_factor"]),
        reports=part(inputs.reports, list(_REPORT_COLUMNS)),
        sessions=inputs.sessions.filter(inputs.sessions <= day),
        layout=layout,
    )
