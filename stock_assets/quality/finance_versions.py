"""Which rows of an answer are new versions of a report, and since when a reader could know them.

A report is a stock and a period, an announcement a report and a day. An answer may hold several rows of one announcement:
equal ones, ones that merely lack some figures of another, and ones that differ. Of those that differ one stands: the
corrected before the first (`update_flag`), then the one with more figures. The others are kept, and never read as of a day.

What stands for an announcement seen for the first time was known from the first session after it. Whatever stands in its
place later came without an announcement: it was known from the first session after the day on which it was first seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.finance_tables import FINANCE_INDICATOR, VALUES

DISCLOSURE_SCHEMA = pl.Schema({"ts_code": pl.String(), "end_date": pl.Date(), "actual_date": pl.Date()})
"""On which day a report was published by the disclosure calendar; one row for each report."""

_REPORT = ["ts_code", "end_date"]
_ANNOUNCEMENT = [*_REPORT, "ann_date"]
_DATED = pl.col("ann_date_basis") != "first_seen"
_FIGURES = pl.sum_horizontal(pl.col(name).is_not_null() for name in VALUES)


@dataclass(frozen=True, slots=True)
class Resolved:
    """`versions` are the rows of `finance_indicator` to add; each row of the answer is counted once.

    `first`: versions of announcements seen for the first time; `corrected`: versions of known ones; `duplicates`: rows that
    say no more than another row of the same answer; `unchanged`: rows that the store has.
    """

    versions: pl.DataFrame
    first: int = 0
    corrected: int = 0
    duplicates: int = 0
    unchanged: int = 0


def resolve(  # noqa: PLR0913  who says it and when are facts of every row
    reports: pl.DataFrame,
    stored: pl.DataFrame,
    *,
    source: str,
    fetched_at: datetime,
    calendar: TradingCalendar,
    run_id: str | None = None,
    disclosures: pl.DataFrame | None = None,
) -> Resolved:
    """Return what an answer adds to the versions that are stored.

    `reports` are accepted rows (REPORT_SCHEMA) and must hold every row that the source has of each announcement in it;
    `stored` is every stored row of `finance_indicator` of these reports. An answer counts as received after all that is
    stored, even when the clock has gone back.

    A row without an announcement's day belongs to the newest announcement that is known of its report; where there is none,
    it is dated by `disclosures` (DISCLOSURE_SCHEMA), else by the day on which it was first seen.
    """
    ours = stored.filter(pl.col("source") == source)
    seen_on = fetched_at.astimezone(SHANGHAI).date()
    rows = _dated(reports, ours, disclosures, seen_on)
    kept = _without_copies(rows)
    kept = kept.with_columns(is_chosen=pl.col("rank") == pl.col("rank").max().over(_ANNOUNCEMENT))
    new = _new(kept, ours)
    duplicates, unchanged = reports.height - kept.height, kept.height - new.height
    if new.is_empty():
        return Resolved(FINANCE_INDICATOR.empty(), duplicates=duplicates, unchanged=unchanged)
    fetched = pl.lit(fetched_at).dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    new = _numbered(new.join(_so_far(stored, ours), on=_ANNOUNCEMENT, how="left"))
    new = _since(new, _undated(ours), seen_on=seen_on, fetched=fetched, calendar=calendar)
    first = new["latest"].null_count()
    versions = new.with_columns(source=pl.lit(source), run_id=pl.lit(run_id, dtype=pl.String))
    return Resolved(
        FINANCE_INDICATOR.conform(versions),
        first=first,
        corrected=new.height - first,
        duplicates=duplicates,
        unchanged=unchanged,
    )


def _dated(
    reports: pl.DataFrame, stored: pl.DataFrame, disclosures: pl.DataFrame | None, seen_on: date
) -> pl.DataFrame:
    """Return the rows with `ann_date`, its basis, and whether the row itself says it (`is_stated`)."""
    known = pl.concat(
        [
            stored.select(*_ANNOUNCEMENT, "ann_date_basis"),
            reports.filter(pl.col("ann_date").is_not_null()).select(
                *_ANNOUNCEMENT, pl.lit("stated").alias("ann_date_basis")
            ),
        ]
    )
    newest = (
        known.sort(_DATED, "ann_date")
        .group_by(_REPORT)
        .last()
        .rename({"ann_date": "known_date", "ann_date_basis": "known_basis"})
    )
    disclosed = pl.DataFrame(schema=DISCLOSURE_SCHEMA) if disclosures is None else disclosures
    disclosed = disclosed.filter(pl.col("actual_date") >= pl.col("end_date")).select(DISCLOSURE_SCHEMA.names())
    is_stated = pl.col("ann_date").is_not_null()
    is_known, is_disclosed = pl.col("known_date").is_not_null(), pl.col("actual_date").is_not_null()
    # Nobody sees a report before its period ends: a clock that says so is wrong.
    seen = pl.max_horizontal(pl.lit(seen_on), "end_date")
    return (
        reports.join(newest, on=_REPORT, how="left")
        .join(disclosed, on=_REPORT, how="left")
        .with_columns(
            is_stated=is_stated,
            ann_date=pl.coalesce("ann_date", "known_date", "actual_date", seen),
            ann_date_basis=pl.when(is_stated)
            .then(pl.lit("stated"))
            .when(is_known)
            .then(pl.col("known_basis"))
            .when(is_disclosed)
            .then(pl.lit("disclosure"))
            .otherwise(pl.lit("first_seen")),
        )
        .drop("known_date", "known_basis", "actual_date")
    )


def _without_copies(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that say more than any other row of their announcement, with their `rank` among these.

    The order does not depend on the order in which the rows came.
    """
    order = ["is_stated", "flag", "figures", *VALUES]
    ranked = (
        rows.with_columns(flag=pl.col("update_flag").fill_null(""), figures=_FIGURES)
        .sort(*_ANNOUNCEMENT, *order, nulls_last=False)
        .unique([*_ANNOUNCEMENT, *VALUES], keep="last", maintain_order=True)
        .with_columns(rank=pl.int_range(pl.len()).over(_ANNOUNCEMENT))
    )
    several = ranked.filter(pl.len().over(_ANNOUNCEMENT) > 1)
    pairs = several.join(several.select(*_ANNOUNCEMENT, "rank", *VALUES), on=_ANNOUNCEMENT, suffix="_of_other")
    covered = pairs.filter(
        pl.col("rank") != pl.col("rank_of_other"),
        pl.all_horizontal(pl.col(name).is_null() | (pl.col(name) == pl.col(f"{name}_of_other")) for name in VALUES),
    )
    return ranked.join(covered, on=[*_ANNOUNCEMENT, "rank"], how="anti").drop("flag", "figures", "is_stated")


def _new(kept: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that the store does not have: the chosen against the one that stands, the others against all."""
    content = [*_ANNOUNCEMENT, *VALUES]
    standing = stored.filter("is_chosen").sort("version").group_by(_ANNOUNCEMENT).last()
    chosen = kept.filter("is_chosen").join(standing, on=content, how="anti", nulls_equal=True)
    others = kept.filter(~pl.col("is_chosen")).join(stored, on=content, how="anti", nulls_equal=True)
    return pl.concat([chosen, others])


def _so_far(stored: pl.DataFrame, ours: pl.DataFrame) -> pl.DataFrame:
    """Return each announcement's highest version number, and of this source its newest moment and `known_from`."""
    numbers = stored.group_by(_ANNOUNCEMENT).agg(pl.col("version").max().alias("last_version"))
    moments = ours.group_by(_ANNOUNCEMENT).agg(
        pl.col("fetched_at").max().alias("latest"), pl.col("known_from").max().alias("latest_known")
    )
    return numbers.join(moments, on=_ANNOUNCEMENT, how="left")


def _undated(stored: pl.DataFrame) -> pl.DataFrame:
    """Return what stands for each report that was seen without an announcement's day: that day in `undated_on`."""
    return (
        stored.filter("is_chosen", ~_DATED)
        .sort("version")
        .group_by(_REPORT)
        .last()
        .select(
            *_REPORT,
            pl.col("ann_date").alias("undated_on"),
            pl.col("fetched_at").alias("undated_at"),
            *(pl.col(name).alias(f"{name}_undated") for name in VALUES),
        )
    )


def _numbered(new: pl.DataFrame) -> pl.DataFrame:
    place = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(_ANNOUNCEMENT)
    return new.sort(*_ANNOUNCEMENT, "rank").with_columns(version=pl.col("last_version").fill_null(0) + place)


def _since(
    new: pl.DataFrame, undated: pl.DataFrame, *, seen_on: date, fetched: pl.Expr, calendar: TradingCalendar
) -> pl.DataFrame:
    """Return the rows with `fetched_at` and `known_from`."""
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_undated")) for name in VALUES)
    # The source has given a report, which it showed without a day before, a day: only the same figures were known since.
    is_late = (pl.col("ann_date") <= pl.col("undated_on")) & ~same & _DATED
    is_first = pl.col("latest").is_null() & ~is_late.fill_null(value=False)
    rows = new.join(undated, on=_REPORT, how="left").with_columns(
        fetched_at=pl.max_horizontal(fetched, "latest", "undated_at"),
        announced_on=pl.max_horizontal("ann_date", "f_ann_date"),
    )
    seen = pl.max_horizontal(
        pl.lit(seen_on), pl.col("fetched_at").dt.convert_time_zone(str(SHANGHAI)).dt.date(), "announced_on"
    )
    rows = rows.with_columns(day=pl.when(is_first).then("announced_on").otherwise(seen))
    sessions = _sessions_after(rows["day"], calendar.next)
    return rows.join(sessions, on="day", how="left").with_columns(
        known_from=pl.max_horizontal("session", "latest_known")
    )


def _sessions_after(days: pl.Series, following: Callable[[date], date]) -> pl.DataFrame:
    asked: list[date] = days.unique().to_list()
    return pl.DataFrame(
        {"day": asked, "session": [following(day) for day in asked]}, schema={"day": pl.Date, "session": pl.Date}
    )
