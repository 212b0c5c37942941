"""Securities over time: some were given another number, or moved to another exchange with one; the shares stayed the same.

One security is one series: each code has the days on which the security traded under it, and no day has two. Companies that
merged are not in here: who held the one was given other shares, at a ratio, so that prices do not go on from each other.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from stock_assets.domain.beijing_codes import beijing_changes


@dataclass(frozen=True, slots=True)
class CodeChange:
    """A security traded under `old` until the day before `changed_on`, and under `new` from then on."""

    old: str
    new: str
    changed_on: date


# From the companies' and the exchanges' announcements. The last three moved from Beijing to Shanghai or Shenzhen.
CODE_CHANGES: Final = (
    CodeChange("600849.SH", "601607.SH", date(2010, 3, 9)),
    CodeChange("601313.SH", "601360.SH", date(2018, 2, 28)),
    CodeChange("000022.SZ", "001872.SZ", date(2018, 12, 26)),
    CodeChange("000043.SZ", "001914.SZ", date(2019, 12, 16)),
    CodeChange("300114.SZ", "302132.SZ", date(2025, 2, 17)),
    CodeChange("832317.BJ", "688287.SH", date(2022, 5, 25)),
    CodeChange("833874.BJ", "301192.SZ", date(2022, 8, 11)),
    CodeChange("833994.BJ", "301321.SZ", date(2022, 8, 18)),
    *(CodeChange(*change) for change in beijing_changes()),
)
_NEXT = {change.old: change.new for change in CODE_CHANGES}
_BEFORE = {change.new: change.old for change in CODE_CHANGES}
_CHANGES: Final = pl.DataFrame(
    [(change.old, change.new, change.changed_on) for change in CODE_CHANGES],
    schema={"old": pl.String, "new": pl.String, "changed_on": pl.Date},
    orient="row",
)


def newest_code(ts_code: str) -> str:
    """Return the code that the security of `ts_code` has now, which is the security's name over time."""
    while ts_code in _NEXT:
        ts_code = _NEXT[ts_code]
    return ts_code


def former_codes(ts_code: str) -> tuple[str, ...]:
    """Return the codes that this one took over from, the oldest first."""
    found: list[str] = []
    while ts_code in _BEFORE:
        ts_code = _BEFORE[ts_code]
        found.insert(0, ts_code)
    return tuple(found)


def codes_of(ts_code: str) -> tuple[str, ...]:
    """Return every code of the security that `ts_code` is a code of, the oldest first."""
    newest = newest_code(ts_code)
    return (*former_codes(newest), newest)


def with_lives_cut(told: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return securities so that no day belongs to two codes of one: `told` with the days of each code alone.

    Both frames have the columns of `security`; `known` are the stored ones. Where both codes of a change are in the list, the
    old one ends when the new one begins, also when the source no longer names it or goes on naming it. A source that knows
    the new code alone tells the security's whole life under it, and so it stays.
    """
    everything = pl.concat([told, known.join(told, on="ts_code", how="anti").select(told.columns)])
    codes = everything["ts_code"].implode()
    taken = _CHANGES.filter(pl.col("old").is_in(codes) & pl.col("new").is_in(codes))
    kept = everything.filter(
        pl.col("ts_code").is_in(told["ts_code"].implode()) | pl.col("ts_code").is_in(taken["old"].implode())
    )
    ends = taken.select(pl.col("old").alias("ts_code"), pl.col("changed_on").alias("ends_on"))
    begins = taken.select(pl.col("new").alias("ts_code"), pl.col("changed_on").alias("begins_on"))
    lives = kept.join(ends, on="ts_code", how="left", maintain_order="left").join(
        begins, on="ts_code", how="left", maintain_order="left"
    )
    return lives.with_columns(
        pl.max_horizontal("list_date", "begins_on").alias("list_date"),
        pl.min_horizontal("delist_date", "ends_on").alias("delist_date"),
        pl.when(pl.col("ends_on").is_null()).then("status").otherwise(pl.lit("delisted")).alias("status"),
    ).select(told.columns)


def with_first_listing(listed: pl.DataFrame, securities: pl.DataFrame) -> pl.DataFrame:
    """Return `listed` (ts_code, list_date, ...) with the day on which each security was listed first, under whatever code.

    `securities` has ts_code and list_date of every stock of the store.
    """
    lives = securities.select(pl.col("ts_code").alias("old"), pl.col("list_date").alias("began"))
    first = _CHANGES.join(lives, on="old").select(pl.col("new").alias("ts_code"), "began")
    known = listed.join(first, on="ts_code", how="left", maintain_order="left")
    return known.with_columns(pl.min_horizontal("list_date", "began").alias("list_date")).drop("began")


def under_code_of_day(rows: pl.DataFrame, known_codes: pl.Series) -> pl.DataFrame:
    """Return `rows` (ts_code, trade_date, ...) each under the code that its security had on its day.

    A source may tell old days under the new code, or under an old one that it no longer lists. `known_codes` are the codes of
    the store; a row moves to a known code only, and never to where a row is already.
    """
    known = known_codes.implode()
    old_is_known, new_is_known = pl.col("old").is_in(known), pl.col("new").is_in(known)
    back = _CHANGES.filter(old_is_known & new_is_known).select(
        pl.col("new").alias("ts_code"), pl.col("old").alias("moves_to"), pl.col("changed_on").alias("before")
    )
    onward = _CHANGES.filter(~old_is_known & new_is_known).select(
        pl.col("old").alias("ts_code"), pl.col("new").alias("moves_to"), pl.col("changed_on").alias("before")
    )
    moves = pl.concat([back, onward])
    if not rows["ts_code"].is_in(moves["ts_code"].implode()).any():
        return rows
    there = rows.select(pl.col("ts_code").alias("moves_to"), "trade_date", is_there=pl.lit(value=True)).unique()
    moved = rows.join(moves, on="ts_code", how="left", maintain_order="left").join(
        there, on=["moves_to", "trade_date"], how="left", maintain_order="left"
    )
    goes = (pl.col("trade_date") < pl.col("before")) & pl.col("is_there").is_null()
    return moved.with_columns(
        pl.when(goes.fill_null(value=False)).then("moves_to").otherwise("ts_code").alias("ts_code")
    ).select(rows.columns)
