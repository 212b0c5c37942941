"""Daily price limits: the rules on single days that are known, and no recorded price beyond them."""

import json
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stock_assets.domain.codes import board_of
from stock_assets.domain.price_limits import with_listed_sessions, with_price_limits

LONG_AGO = date(1995, 1, 3)


def limits_of(
    board: str,
    trade_date: date,
    pre_close: float | None,
    list_date: date | None = LONG_AGO,
    is_st: bool | None = False,  # noqa: FBT001, FBT002
    session: int | None = None,
    code: str = "000000.SZ",
) -> tuple[float | None, float | None]:
    """Return limit-up and limit-down price of one row."""
    row = {
        "ts_code": code, "trade_date": trade_date, "board": board, "list_date": list_date, "is_st": is_st,
        "pre_close": pre_close, "close": pre_close, "listed_sessions": session,
    }  # fmt: skip
    schema = {"list_date": pl.Date, "is_st": pl.Boolean, "pre_close": pl.Float64, "listed_sessions": pl.Int32}
    found = with_price_limits(pl.DataFrame([row], schema_overrides=schema))
    return found["limit_up_price"][0], found["limit_down_price"][0]


@pytest.mark.parametrize(
    ("board", "day", "is_st", "expected"),
    [
        ("main", date(1996, 12, 13), False, (None, None)),
        ("main", date(1996, 12, 16), False, (11.0, 9.0)),
        ("main", date(1998, 4, 21), True, (11.0, 9.0)),
        ("main", date(1998, 4, 22), True, (10.5, 9.5)),
        ("main", date(1998, 4, 22), False, (11.0, 9.0)),
        ("main", date(2026, 7, 3), True, (10.5, 9.5)),
        ("main", date(2026, 7, 6), True, (11.0, 9.0)),
        ("b_share", date(1996, 12, 13), False, (None, None)),
        ("b_share", date(1998, 4, 22), True, (10.5, 9.5)),
        ("b_share", date(2005, 3, 1), False, (11.0, 9.0)),
        ("b_share", date(2005, 3, 1), True, (10.5, 9.5)),
        ("b_share", date(2026, 7, 6), True, (11.0, 9.0)),
        ("chinext", date(2020, 8, 21), False, (11.0, 9.0)),
        ("chinext", date(2020, 8, 24), False, (12.0, 8.0)),
        ("chinext", date(2021, 5, 6), True, (12.0, 8.0)),
        ("star", date(2021, 5, 6), True, (12.0, 8.0)),
        ("star", date(2021, 5, 6), None, (12.0, 8.0)),
        ("bse", date(2021, 11, 12), False, (None, None)),
        ("bse", date(2021, 11, 15), True, (13.0, 7.0)),
        ("main", date(2005, 3, 1), None, (None, None)),
        ("main", date(2026, 7, 6), None, (11.0, 9.0)),
    ],
)
def test_each_board_has_the_limit_of_its_day(
    board: str, day: date, *, is_st: bool | None, expected: tuple[float | None, float | None]
) -> None:
    listed = {"chinext": date(2010, 1, 8), "star": date(2019, 7, 22), "bse": date(2020, 7, 27)}.get(board, LONG_AGO)
    assert limits_of(board, day, 10.0, listed, is_st) == expected


@pytest.mark.parametrize(
    ("board", "listed", "free"),
    [
        ("main", date(2010, 1, 15), 1),
        ("main", date(2023, 4, 10), 5),
        ("chinext", date(2010, 1, 8), 1),
        ("chinext", date(2020, 8, 24), 5),
        ("star", date(2019, 7, 22), 5),
        ("bse", date(2023, 2, 16), 1),
        ("b_share", date(2000, 6, 1), 1),
    ],
)
def test_the_first_sessions_are_without_limit(board: str, listed: date, free: int) -> None:
    assert limits_of(board, listed, 10.0, listed, session=free) == (None, None)
    assert limits_of(board, listed, 10.0, listed, session=free + 1) != (None, None)


@pytest.mark.parametrize("board", ["main", "chinext"])
def test_from_2014_to_registration_the_first_day_is_limited_by_the_issue_price(board: str) -> None:
    first = date(2020, 8, 21)
    # 600905.SH closed its first day at 3.82 after an issue at 2.65.
    assert limits_of(board, first, 2.65, first, session=1) == (3.82, 1.7)
    assert limits_of(board, first, 10.0, first, session=2) == (11.0, 9.0)


def test_without_a_counted_session_only_the_days_that_are_certain_have_a_limit() -> None:
    listed = date(2024, 3, 1)
    assert limits_of("main", listed, 10.0, listed) == (None, None)
    assert limits_of("main", date(2024, 3, 4), 10.0, listed) == (None, None)
    assert limits_of("main", date(2024, 4, 30), 10.0, listed) == (11.0, 9.0)
    assert limits_of("bse", date(2024, 3, 4), 10.0, listed) == (13.0, 7.0)
    assert limits_of("main", date(2024, 2, 29), 10.0, listed) == (None, None)
    assert limits_of("star", date(2024, 2, 29), 10.0, date(2019, 7, 22), session=0) == (None, None)
    assert limits_of("main", date(2024, 2, 29), 10.0, None) == (None, None)
    assert limits_of("main", date(2024, 4, 30), 10.0, None, session=6) == (11.0, 9.0)


@pytest.mark.parametrize(
    ("board", "is_st", "pre_close", "expected"),
    [
        # Half a tick goes up: 16.995, 22.385 and 30.36 * 0.95 = 28.842.
        ("main", False, 15.45, (17.0, 13.91)),
        ("main", False, 20.35, (22.39, 18.32)),
        ("main", True, 30.36, (31.88, 28.84)),
        # 0.94 * 1.1 = 1.0340000000000003 in floats, 1.15 * 1.1 = 1.2649999999999997.
        ("main", False, 1.15, (1.27, 1.04)),
        ("star", False, 8.04, (9.65, 6.43)),
        # Sealed at their limits in 2026: 920002, 920006, 920083, 920090; and 49.12 * 0.7 = 34.384.
        ("bse", False, 84.63, (110.01, 59.25)),
        ("bse", False, 17.09, (22.21, 11.97)),
        ("bse", False, 2.85, (3.70, 2.0)),
        ("bse", False, 49.12, (63.85, 34.39)),
        # Less than a tick is a tick, and no price is zero.
        ("main", True, 0.08, (0.09, 0.07)),
        ("main", True, 0.01, (0.02, 0.01)),
    ],
)
def test_limits_are_rounded_in_ticks(
    board: str,
    *,
    is_st: bool,
    pre_close: float,
    expected: tuple[float, float],
) -> None:
    assert limits_of(board, date(2025, 3, 3), pre_close, date(2022, 1, 4), is_st) == expected


def test_shanghai_b_shares_have_three_decimals() -> None:
    day = date(2024, 3, 4)
    assert limits_of("b_share", day, 0.345, code="900901.SH") == (0.38, 0.311)
    assert limits_of("b_share", day, 3.45, code="200002.SZ") == (3.8, 3.11)


@pytest.mark.parametrize("pre_close", [None, 0.0, -1.0, float("nan")])
def test_without_a_previous_close_there_is_no_limit(pre_close: float | None) -> None:
    assert limits_of("main", date(2024, 3, 4), pre_close) == (None, None)


def test_a_flag_is_the_price_itself_and_not_beyond() -> None:
    closes = [11.0, 10.99, 11.01, 9.0, 9.01, 8.99, 11.0, None]
    frame = pl.DataFrame(
        {
            "ts_code": [f"60000{n}.SH" for n in range(8)],
            "trade_date": [date(2024, 3, 4)] * 6 + [date(1996, 1, 4), date(2024, 3, 4)],
            "board": ["main"] * 8,
            "list_date": [LONG_AGO] * 8,
            "is_st": [False] * 8,
            "pre_close": [10.0] * 8,
            "close": closes,
            "volume": range(8),
        }
    )
    found = with_price_limits(frame)
    assert found["is_limit_up"].to_list() == [True, *[False] * 7]
    assert found["is_limit_down"].to_list() == [False, False, False, True, *[False] * 4]
    assert found.select(frame.columns).equals(frame)
    empty = with_price_limits(frame.clear())
    assert empty.schema == found.schema


def test_sessions_are_counted_from_the_listing() -> None:
    sessions = [date(2026, 3, day) for day in (2, 3, 4, 5, 6, 9, 10)]
    frame = pl.DataFrame(
        {
            "trade_date": [date(2026, 3, day) for day in (3, 9, 2, 9, 3)],
            "list_date": [*[date(2026, 3, 3)] * 3, date(2026, 1, 5), date(2026, 3, 2)],
        }
    )
    assert with_listed_sessions(frame, sessions)["listed_sessions"].to_list() == [1, 5, None, None, 2]


def open_days(recorded_data: Path) -> list[date]:
    """Return the sessions 1990 to 2026."""
    path = recorded_data / "calendar" / "GENERATED_consensus_baostock_format_1990-12-19_2026-12-31.csv.gz"
    days = pl.read_csv(path, infer_schema=False).filter(pl.col("is_trading_day") == "1")
    return days["calendar_date"].str.to_date().to_list()


def judged(recorded_data: Path, bars: pl.DataFrame) -> pl.DataFrame:
    """Return the recorded bars with their limits; only those whose prices are as they were traded."""
    on_tick = pl.all_horizontal(
        (pl.col(name) * 100 - (pl.col(name) * 100).round()).abs() < 1e-6
        for name in ("high", "low", "close", "pre_close")
    )
    boards = pl.Series("board", [board_of(code) for code in bars["ts_code"]], dtype=pl.String)
    found = with_listed_sessions(bars.with_columns(boards).filter(on_tick), open_days(recorded_data))
    return with_price_limits(found)


def beyond(frame: pl.DataFrame) -> set[tuple[str, str]]:
    """Return code and day of the bars that traded beyond a limit."""
    half = 0.004
    broken = (pl.col("high") > pl.col("limit_up_price") + half) | (pl.col("low") < pl.col("limit_down_price") - half)
    found = frame.filter(broken)
    return {(code, str(day)) for code, day in found.select("ts_code", "trade_date").iter_rows()}


def baostock_bars(recorded_data: Path, names: Sequence[str], list_dates: str) -> pl.DataFrame:
    """Return recorded BaoStock bars of traded days with the list dates of one recorded `query_stock_basic`."""
    folder = recorded_data / "recorded" / "baostock"
    texts = pl.concat(
        [
            pl.read_csv(folder / f"k_daily_{name}.csv.gz", infer_schema=False).select(
                "date", "code", "high", "low", "close", "preclose", "tradestatus", "isST"
            )
            for name in names
        ]
    )
    listed = pl.read_csv(folder / list_dates, infer_schema=False).select("code", "ipoDate")
    bars = texts.unique(["date", "code"], keep="first").filter(pl.col("tradestatus") == "1").join(listed, on="code")
    return bars.select(
        pl.concat_str(
            pl.col("code").str.slice(3), pl.lit("."), pl.col("code").str.slice(0, 2).str.to_uppercase()
        ).alias("ts_code"),
        pl.col("date").str.to_date().alias("trade_date"),
        pl.col("ipoDate").str.to_date().alias("list_date"),
        (pl.col("isST") == "1").alias("is_st"),
        *(pl.col(name).cast(pl.Float64) for name in ("high", "low", "close")),
        pl.col("preclose").cast(pl.Float64).alias("pre_close"),
    )


def at_limits(frame: pl.DataFrame, *by: str) -> dict[object, tuple[int, int]]:
    """Return the number of closes at limit-up and at limit-down of each group."""
    counted = frame.group_by(by).agg(pl.col("is_limit_up", "is_limit_down").sum())
    return {row[:-2] if len(by) > 1 else row[0]: (row[-2], row[-1]) for row in counted.iter_rows()}


def test_no_recorded_unadjusted_bar_of_25_years_lies_beyond_its_limit(recorded_data: Path) -> None:
    names = ("adjustflag3_2020-2025", "adjustflag3_2010-2024", "adjustflag3_sh.600000_1999-2023")
    frame = judged(recorded_data, baostock_bars(recorded_data, names, "query_stock_basic_2023-12.csv"))
    assert frame.height > 100_000
    # Days on which a stock was listed anew: Guangfa after a merger, Xinmei and Yanhu after a year without listing.
    assert beyond(frame) == {("000776.SZ", "2010-02-12"), ("600732.SH", "2017-06-06"), ("000792.SZ", "2021-08-10")}
    assert at_limits(frame, "board") == {"main": (817, 350), "chinext": (6, 0), "star": (20, 2)}


def test_the_week_in_which_chinext_changed(recorded_data: Path) -> None:
    names = ["adjustflag2_market_2020-08-17_24"]
    frame = judged(recorded_data, baostock_bars(recorded_data, names, "query_stock_basic_2020-09.csv.gz"))
    # 600610.SH traded again after 13 months, on its first day without limit.
    assert beyond(frame) == {("600610.SH", "2020-08-17")}
    chinext = at_limits(frame.filter(pl.col("board") == "chinext"), "trade_date")
    assert (chinext[date(2020, 8, 21)], chinext[date(2020, 8, 24)]) == ((16, 3), (4, 0))
    warned = at_limits(frame.filter(pl.col("is_st")), "trade_date")
    assert (warned[date(2020, 8, 18)], warned[date(2020, 8, 20)]) == ((20, 7), (10, 10))


def tushare_bars(recorded_data: Path, name: str, facts: pl.DataFrame) -> pl.DataFrame:
    """Return recorded Tushare bars; `facts` has ts_code, list_date and is_st."""
    bars = pl.read_csv(recorded_data / "recorded" / "tushare" / f"{name}.csv.gz", infer_schema=False)
    return bars.join(facts, on="ts_code").select(
        "ts_code",
        pl.col("trade_date").str.to_date("%Y%m%d"),
        "list_date",
        "is_st",
        *(pl.col(name).cast(pl.Float64) for name in ("high", "low", "close", "pre_close", "pct_chg")),
    )


def stock_basic(recorded_data: Path, name: str) -> pl.DataFrame:
    """Return ts_code, list_date, and is_st by the name at that time."""
    listed = pl.read_csv(recorded_data / "recorded" / "tushare" / f"stock_basic_{name}.csv.gz", infer_schema=False)
    return listed.select(
        "ts_code", pl.col("list_date").str.to_date("%Y%m%d"), pl.col("name").str.contains("ST").alias("is_st")
    )


def test_a_week_with_first_days_on_every_board(recorded_data: Path) -> None:
    facts = stock_basic(recorded_data, "2023-03")
    frame = judged(recorded_data, tushare_bars(recorded_data, "pro_bar_qfq_market_20230213_17", facts))
    assert frame.height > 25_000
    assert beyond(frame) == set()
    assert at_limits(frame, "board", "is_st") == {
        ("main", False): (138, 7),
        ("main", True): (30, 20),
        ("chinext", False): (9, 0),
        ("chinext", True): (0, 0),
        ("star", False): (3, 0),
        ("star", True): (0, 0),
        ("bse", False): (0, 0),
    }
    first_days = frame.filter(pl.col("listed_sessions") == 1)
    assert first_days.filter(pl.col("board") == "main")["is_limit_up"].to_list() == [True] * 4
    assert first_days.filter(pl.col("board").is_in(["star", "bse"]))["limit_up_price"].to_list() == [None] * 3


def facts_of_2026(recorded_data: Path) -> pl.DataFrame:
    """Return ts_code, list_date and is_st of 2026: names are of April, what was listed since 2023 counts as listed 2025."""
    answer = (recorded_data / "baostock_frames" / "query_all_stock" / "response.bin").read_bytes()
    found = re.search(rb'\{"record":.*\]\}', answer, re.DOTALL)
    assert found is not None
    codes = [(f"{code[3:]}.{code[:2].upper()}", name) for code, _, name in json.loads(found[0])["record"]]
    names = pl.DataFrame(codes, schema=["ts_code", "name"], orient="row")
    market = recorded_data / "recorded" / "baostock" / "k_daily_adjustflag2_market_2026-03-18_04-01.csv.gz"
    first = pl.read_csv(market, infer_schema=False).group_by("code").agg(pl.col("date").min().str.to_date())
    seen = first.select(
        pl.concat_str(
            pl.col("code").str.slice(3), pl.lit("."), pl.col("code").str.slice(0, 2).str.to_uppercase()
        ).alias("ts_code"),
        pl.when(pl.col("date") > date(2026, 3, 18)).then("date").alias("first_seen"),
    )
    days = [pl.read_csv(recorded_data / f"recorded/tushare/daily_{day}.csv.gz") for day in ("20260320", "20260401")]
    every = pl.concat([day.select("ts_code") for day in days]).unique()
    known = stock_basic(recorded_data, "2023-12").select("ts_code", "list_date")
    joined = every.join(names, on="ts_code", how="left").join(known, on="ts_code", how="left")
    return joined.join(seen, on="ts_code", how="left").select(
        "ts_code",
        pl.coalesce("list_date", "first_seen", date(2025, 1, 2)).alias("list_date"),
        pl.col("name").str.contains("ST").fill_null(value=False).alias("is_st"),
    )


@pytest.mark.parametrize(
    ("day", "rises", "falls", "exceptions", "expected"),
    [
        (
            "20260320",
            45,
            33,
            # The first day of its delisting period; ST only afterwards.
            {"300391.SZ", "603429.SH"},
            {"main": (38, 26), "chinext": (2, 0), "star": (0, 0), "bse": (0, 0)},
        ),
        # Both ST only afterwards.
        (
            "20260401",
            101,
            12,
            {"002542.SZ", "002932.SZ"},
            {"main": (59, 14), "chinext": (6, 1), "star": (1, 0), "bse": (0, 0)},
        ),
    ],
)
def test_whole_market_days_of_2026(
    recorded_data: Path,
    day: str,
    rises: int,
    falls: int,
    exceptions: set[str],
    expected: dict[str, tuple[int, int]],
) -> None:
    bars = tushare_bars(recorded_data, f"daily_{day}", facts_of_2026(recorded_data))
    frame = judged(recorded_data, bars)
    assert frame.height == bars.height > 5_400
    assert {code for code, _ in beyond(frame)} == exceptions
    assert at_limits(frame, "board") == expected
    # The counts of the recorder's manifest; the rest of them are boards whose limit is wider.
    assert (frame.filter(pl.col("pct_chg") >= 9.9).height, frame.filter(pl.col("pct_chg") <= -9.9).height) == (
        rises,
        falls,
    )
    wide = frame.filter((pl.col("pct_chg") >= 9.9) & ~pl.col("is_limit_up") & (pl.col("board") == "main"))
    assert wide.height <= 1


def test_until_july_2026_main_board_stocks_under_warning_close_at_five_percent(recorded_data: Path) -> None:
    frame = judged(recorded_data, tushare_bars(recorded_data, "daily_20260320", facts_of_2026(recorded_data)))
    warned = frame.filter((pl.col("board") == "main") & pl.col("is_st"))
    assert at_limits(warned, "board") == {"main": (11, 11)}
    assert warned["pct_chg"].abs().max() == pytest.approx(5.4054)
