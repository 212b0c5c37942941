"""What the store holds of given trading days, asked of the rows themselves inside the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

from stock_assets.domain.completeness import SourcesInUse
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import asked_gaps

_BUSINESS = """
    ts_code, open, high, low, close, pre_close, volume, amount, turnover_rate, pct_chg, is_suspended, is_st,
    pe_ttm, pb_mrq, ps_ttm, pcf_ncf_ttm, source
"""
_ROWS = text(f"""
    SELECT trade_date,
           count(*) AS rows,
           count(*) FILTER (WHERE is_suspended AND volume IS NULL) AS suspended_empty,
           count(*) FILTER (WHERE is_suspended AND volume = 0) AS suspended_zero,
           min(source) AS first_source, max(source) AS last_source,
           md5(string_agg(md5(ROW({_BUSINESS})::text), '' ORDER BY ts_code)) AS digest
    FROM stock_daily
    WHERE trade_date = ANY(:days)
    GROUP BY trade_date
""")  # noqa: S608  the column list is the constant above
_EXPECTED = text("""
    SELECT d.day,
           count(s.ts_code) AS expected,
           count(b.ts_code) AS present,
           array_agg(s.ts_code ORDER BY s.ts_code) FILTER (WHERE b.ts_code IS NULL AND s.ts_code IS NOT NULL) AS missing
    FROM unnest(CAST(:days AS date[])) AS d(day)
    LEFT JOIN security s ON s.list_date <= d.day AND (s.delist_date IS NULL OR d.day < s.delist_date)
    LEFT JOIN stock_daily b ON b.trade_date = d.day AND b.ts_code = s.ts_code
    GROUP BY d.day
""")
_EX_DAY_SIGNS = text("""
    SELECT count(*) FROM stock_daily b
    JOIN stock_daily p ON p.ts_code = b.ts_code AND p.trade_date = :before
    WHERE b.trade_date = :day AND b.pre_close < p.close - 0.005
""")


@dataclass(frozen=True, slots=True)
class DayState:
    """One trading day of `stock_daily`: rows, and how they compare with the securities listed on that day.

    A stock whose bar no source has is not among the expected and the missing ones, but among `none`. `sources` names who
    the rows are from; of three or more the first and the last by name.
    """

    day: date
    rows: int
    expected: int
    present: int
    missing: tuple[str, ...]
    none: tuple[str, ...]
    suspended_empty: int
    suspended_zero: int
    sources: frozenset[str]
    digest: str | None


def day_states(conn: Connection, days: Sequence[date], *, sources: SourcesInUse | None = None) -> dict[date, DayState]:
    """Return the state of each asked day; `expected` counts the securities listed on it that some source has a bar of.

    `sources` are those in use (see `asked_gaps`).
    """
    held = {row.trade_date: row for row in conn.execute(_ROWS, {"days": list(days)})}
    proven = asked_gaps.proven_on(conn, STOCK_DAILY.name, days, sources=sources)
    states: dict[date, DayState] = {}
    for row in conn.execute(_EXPECTED, {"days": list(days)}):
        here = held.get(row.day)
        lacking, no_source_has = tuple(row.missing or ()), proven.get(row.day, set[str]())
        none = tuple(code for code in lacking if code in no_source_has)
        states[row.day] = DayState(
            day=row.day,
            rows=here.rows if here else 0,
            expected=row.expected - len(none),
            present=row.present,
            missing=tuple(code for code in lacking if code not in no_source_has) if none else lacking,
            none=none,
            suspended_empty=here.suspended_empty if here else 0,
            suspended_zero=here.suspended_zero if here else 0,
            sources=frozenset({here.first_source, here.last_source} if here else ()),
            digest=here.digest if here else None,
        )
    return states


def ex_day_signs(conn: Connection, day: date, before: date) -> int:
    """Return how many stocks opened `day` with a reference price below their close on `before`, the session before."""
    return int(conn.execute(_EX_DAY_SIGNS, {"day": day, "before": before}).scalar_one())
