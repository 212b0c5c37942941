"""A small market in a real store, to compute indicators of: what is stored, what should be, and what was written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from stock_assets.domain.adjustment import adjust_bars
from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.price_limits import with_listed_sessions, with_price_limits
from stock_assets.domain.tables import ADJUST_FACTOR, SECURITY, STOCK_DAILY
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.compute import column_names
from stock_assets.indicators.family import Family
from stock_assets.indicators.frames import with_technicals
from stock_assets.indicators.table import TECHNICAL_DAILY, technical_table
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.pipeline.technical_context import TechnicalContext, TechnicalReport
from stock_assets.storage import bulk_load, ledger, technicals
from stock_assets.storage.copy_frames import copy_out
from stock_assets.storage.database import Database
from stock_assets.storage.day_state import day_states
from stock_assets_tests.storage.made_up_rows import NOW, entry, frame_of, security

FIRST = date(2024, 1, 2)
DAYS = [day for offset in range(500) if (day := FIRST + timedelta(offset)).weekday() < 5][:330]
CALENDAR = TradingCalendar.of(DAYS)
_KEY = ["ts_code", "trade_date"]
# Listed since long ago; from day 40 on; half a year without a trade; gone on day 100; of Beijing; in Shanghai in USD.
STOCKS: dict[str, tuple[str, date]] = {
    "000001.SZ": ("main", date(1991, 4, 3)),
    "300001.SZ": ("chinext", DAYS[40]),
    "600000.SH": ("main", date(1999, 11, 10)),
    "600001.SH": ("main", date(1998, 1, 22)),
    "920001.BJ": ("bse", DAYS[3]),
    "900901.SH": ("b_share", date(1992, 2, 21)),
}
LISTED, SUSPENDED, DELISTED = "300001.SZ", "600000.SH", "600001.SH"


def market(seed: int = 1, days: Sequence[date] = tuple(DAYS)) -> pl.DataFrame:
    """Return the bars of all stocks: random walks in ticks, with flat days, limit days and suspensions."""
    random = np.random.default_rng(seed)
    frames: list[pl.DataFrame] = []
    for number, (code, (_, listed)) in enumerate(STOCKS.items()):
        steps = random.choice([0.0, 0.1, -0.1, 0.02, -0.015, 0.004], len(DAYS), p=[0.1, 0.02, 0.02, 0.26, 0.3, 0.3])
        close = np.maximum(np.rint(1000 * (number + 1) * np.exp(np.cumsum(steps * random.random(len(DAYS))))), 20)
        before = np.concatenate([close[:1], close[:-1]])
        opened = np.maximum(np.rint(before * random.normal(1, 0.004, len(DAYS))), 1)
        frame = pl.DataFrame(
            {
                "ts_code": [code] * len(DAYS),
                "trade_date": DAYS,
                "open": opened / 100,
                "high": np.rint(np.maximum(opened, close) * 1.01) / 100,
                "low": np.rint(np.minimum(opened, close) * 0.99) / 100,
                "close": close / 100,
                "pre_close": before / 100,
                "volume": random.integers(0, 10_000_000, len(DAYS)),
                "amount": np.round(random.random(len(DAYS)) * 1e8, 2),
                "is_suspended": random.random(len(DAYS)) < 0.03,
                "is_st": np.arange(len(DAYS)) // 100 == number,
            }
        )
        if code == SUSPENDED:
            is_off = pl.col("trade_date").is_between(DAYS[120], DAYS[260])
            frame = frame.with_columns(is_off.alias("is_suspended"))
        if code == DELISTED:
            frame = frame.filter(pl.col("trade_date") < DAYS[100])
        frames.append(frame.filter(pl.col("trade_date") >= listed))
    rows = pl.concat(frames, how="diagonal").filter(pl.col("trade_date").is_in(list(days)))
    empty = {
        name: pl.lit(None, dtype=STOCK_DAILY.schema[name])
        for name in STOCK_DAILY.names
        if name not in rows.columns and name not in {"source", "updated_at"}
    }
    rows = rows.with_columns(**empty, source=pl.lit("baostock"), updated_at=pl.lit(NOW).cast(pl.Datetime("us", "UTC")))
    return STOCK_DAILY.conform(rows.sort(_KEY))


def factors(*of: tuple[str, date, float]) -> pl.DataFrame:
    """Return adjustment factors."""
    rows = [
        {"ts_code": code, "ex_date": day, "back_adjust_factor": factor, "source": "baostock", "updated_at": NOW}
        for code, day, factor in of
    ]
    return frame_of(ADJUST_FACTOR, rows)


EX_DATES = factors(("000001.SZ", DAYS[60], 1.25), ("000001.SZ", DAYS[200], 1.5), ("920001.BJ", DAYS[90], 2.0))


@dataclass(slots=True)
class Workshop:
    """A store with the market's securities; bars come day by day, as a test says."""

    database: Database
    ring: Path | None = None
    families: tuple[Family, ...] = FAMILIES
    write_rows: int = 200_000
    read_rows: int = 2_000_000
    truth: pl.DataFrame = field(default_factory=market)
    factors: pl.DataFrame = field(default_factory=lambda: EX_DATES)
    landed: set[date] = field(default_factory=set[date])

    def __post_init__(self) -> None:
        rows = [security(code, listed, board=board) for code, (board, listed) in STOCKS.items()]
        with self.database.begin() as conn:
            bulk_load.load(conn, SECURITY, frame_of(SECURITY, rows))

    def land(self, days: Iterable[date], *, status: ledger.Status = "complete", now: datetime = NOW) -> None:
        """Bring the truth of these days into the store, with its factors and the ledger's lines."""
        chosen = sorted(days)
        bars = self.truth.filter(pl.col("trade_date").is_in(chosen))
        with self.database.begin() as conn:
            conn.execute(
                sa.text("DELETE FROM stock_daily WHERE trade_date = ANY(:days) AND (ts_code, trade_date) NOT IN "
                        "(SELECT c, d FROM unnest(CAST(:codes AS text[]), CAST(:dates AS date[])) AS k(c, d))"),
                {"days": chosen, "codes": bars["ts_code"].to_list(), "dates": bars["trade_date"].to_list()},
            )  # fmt: skip
            bulk_load.load(conn, STOCK_DAILY, bars)
            bulk_load.load(conn, ADJUST_FACTOR, self.factors.filter(pl.col("ex_date").is_in(chosen)))
            for day, state in day_states(conn, chosen).items():
                line = entry(
                    trade_date=day,
                    status=status if state.rows else "empty",
                    rows_expected=state.rows if status == "complete" else state.rows + 1,
                    rows_present=state.rows,
                    digest=state.digest,
                    detail=None if status == "complete" else "1 missing",
                    finished_at=now,
                )
                ledger.write_entry(conn, line)
        self.landed.update(chosen)

    def compute(self, *days: date, again: bool = False, ts_codes: Sequence[str] | None = None) -> TechnicalReport:
        """Compute these days, by default everything that is landed."""
        return compute_technicals(self.context, list(days) or sorted(self.landed), again=again, ts_codes=ts_codes)

    @property
    def context(self) -> TechnicalContext:
        """What a run is given."""
        return TechnicalContext(
            database=self.database,
            calendar=CALENDAR,
            now=lambda: NOW,
            families=self.families,
            ring=self.ring,
            write_rows=self.write_rows,
            read_rows=self.read_rows,
        )

    def stored(self) -> pl.DataFrame:
        """Return the whole table in key order, digests left out: what they are is nobody's business."""
        table = technical_table(self.families)
        with self.database.read() as conn:
            found = copy_out(conn, technicals.every_row(table), table.schema)
        return found.sort(_KEY).drop("input_digest")

    def expected(self, through: date = DAYS[-1]) -> pl.DataFrame:
        """Return what the table should be after the days up to `through`, computed of all bars in one go, without a store."""
        bars = self.truth.filter(pl.col("trade_date").is_in(self.landed) & (pl.col("trade_date") <= through))
        known = self.factors.filter(pl.col("ex_date").is_in(self.landed))
        adjusted = adjust_bars(bars, known, "hfq")
        names = column_names(self.families)
        values = with_technicals(adjusted, names, families=self.families).select(*_KEY, *names)
        facts = pl.DataFrame(
            [(code, board, listed) for code, (board, listed) in STOCKS.items()],
            schema={"ts_code": pl.String, "board": pl.String, "list_date": pl.Date},
            orient="row",
        )
        limits = with_price_limits(
            with_listed_sessions(bars.join(facts, on="ts_code", how="left", maintain_order="left"), CALENDAR.sessions)
        )
        table = technical_table(self.families)
        whole = values.join(limits, on=_KEY, maintain_order="left").filter(
            ~pl.col("is_suspended") & (pl.col("open") > 0) & (pl.col("high") > 0) & (pl.col("low") > 0)
        )
        typed = {name: kind for name, kind in table.schema.items() if name != "input_digest"}
        return whole.select(pl.col(name).cast(kind) for name, kind in typed.items())

    def assert_whole(self, through: date = DAYS[-1]) -> None:
        """Fail unless the table holds what it should to the last bit, and the ledger says so."""
        expected = self.expected(through)
        assert_frame_equal(self.stored(), expected, check_exact=True)
        with self.database.read() as conn:
            lines = ledger.read_entries(conn, TECHNICAL_DAILY.name, DAYS[0], DAYS[-1])
        counts = dict(expected.group_by("trade_date").len().iter_rows())
        assert {day: counts.get(day, 0) for day in self.landed if day <= through} == dict(
            lines.select("trade_date", "rows_present").iter_rows()
        )

    def versions(self) -> dict[tuple[str, date], str]:
        """Return of each row of the table what changes whenever it is written."""
        query = sa.text("SELECT ts_code, trade_date, xmin::text || ctid::text FROM technical_daily")
        with self.database.read() as conn:
            return {(code, day): version for code, day, version in conn.execute(query)}

    def written_since(self, before: dict[tuple[str, date], str]) -> set[tuple[str, date]]:
        """Return the rows that were written since `versions` gave `before`."""
        return {key for key, version in self.versions().items() if before.get(key) != version}
