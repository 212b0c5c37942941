"""Daily price limits (涨跌停): what each board's rule of the day allows, and whether a close is at the limit.

The rules are the two tables below, one line each. Limits are computed from the previous close in whole ticks, never in
floats: Shanghai and Shenzhen round half up, Beijing towards the previous close (49.12 less 30 % is 34.39, not 34.38).
What the tables cannot say, because no source of the store does:

- the limits of both exchanges before 1996-12-16 (they changed often until May 1992, from then on there were none);
- days on which the exchanges lift the limit of one stock: the first day of a delisting period (退市整理期), a re-listing, the
  day a share reform (股权分置改革) is carried out, a stock that comes from another board (转板; it has a limit from its
  first day on, as had the stocks that came to Beijing on 2021-11-15);
- PT stocks (1999 to 2002, 5 % up, later none down) and the 5 % of unreformed S stocks from 2007-01-08 on.

On such a day a close may lie beyond the price given here: it is then neither limit-up nor limit-down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from stock_assets.domain.codes import Board

# So many days hold more sessions than any of the rules below counts, whatever the holidays.
_SURELY_PAST: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class DailyLimit:
    """What a board allows from its `first_day` on, in percent of the previous close; a later line of it takes over.

    `st` is what it allows stocks under risk warning (ST, *ST), where that differs.
    """

    board: Board
    first_day: date
    percent: int
    st: int | None
    source: str


@dataclass(frozen=True, slots=True)
class FirstSessions:
    """What a board allows in the first `sessions` of stocks listed from `listed_from` on; a later line takes over.

    `up` and `down` are percent of the issue price, which is the previous close of a first session; None is no limit.
    """

    board: Board
    listed_from: date
    sessions: int
    up: int | None
    down: int | None
    source: str


DAILY_LIMITS: Final = (
    DailyLimit("main", date(1996, 12, 16), 10, None, "沪深交易所《关于对股票交易价格实行涨跌幅限制的通知》1996-12-13"),
    DailyLimit(
        "main", date(1998, 4, 22), 10, 5, "沪深交易所《关于上市公司状况异常期间的股票特别处理方式的通知》1998-04-22"
    ),
    DailyLimit(
        "main", date(2026, 7, 6), 10, None, "沪深交易所《交易规则（2026 年修订）》：主板风险警示股票 5% 调整为 10%"
    ),
    DailyLimit("chinext", date(2009, 10, 30), 10, None, "深交所《交易规则》，创业板首批上市"),
    DailyLimit(
        "chinext", date(2020, 8, 24), 20, None, "深交所《创业板交易特别规定》2020-06-12，首批注册制股票上市日起"
    ),
    DailyLimit("star", date(2019, 7, 22), 20, None, "上交所《科创板股票交易特别规定》2019-03-01"),
    DailyLimit("bse", date(2021, 11, 15), 30, None, "北交所《交易规则（试行）》2021-11-02"),
    DailyLimit("b_share", date(1996, 12, 16), 10, None, "同主板 1996"),
    DailyLimit("b_share", date(1998, 4, 22), 10, 5, "同主板 1998"),
    DailyLimit("b_share", date(2026, 7, 6), 10, None, "同主板 2026"),
)
FIRST_SESSIONS: Final = (
    FirstSessions("main", date(1990, 12, 19), 1, None, None, "沪深交易所《交易规则》：上市首日不设涨跌幅"),
    FirstSessions(
        "main", date(2013, 12, 13), 1, 44, 36, "沪深交易所新股首日交易监管通知 2013-12-13：发行价的 144% 与 64%"
    ),
    FirstSessions(
        "main", date(2023, 4, 10), 5, None, None, "沪深交易所《交易规则（2023 年修订）》，首批主板注册制股票上市日起"
    ),
    FirstSessions("chinext", date(2009, 10, 30), 1, None, None, "深交所《交易规则》：上市首日不设涨跌幅"),
    FirstSessions("chinext", date(2013, 12, 13), 1, 44, 36, "同主板 2013"),
    FirstSessions("chinext", date(2020, 8, 24), 5, None, None, "深交所《创业板交易特别规定》2020-06-12"),
    FirstSessions("star", date(2019, 7, 22), 5, None, None, "上交所《科创板股票交易特别规定》2019-03-01"),
    FirstSessions("bse", date(2021, 11, 15), 1, None, None, "北交所《交易规则（试行）》2021-11-02"),
    FirstSessions("b_share", date(1990, 12, 19), 1, None, None, "同主板"),
)


def with_listed_sessions(bars: pl.DataFrame, sessions: Sequence[date]) -> pl.DataFrame:
    """Return `bars` with `listed_sessions`: the number of the exchange's session since listing, 1 on the first day.

    `bars` has trade_date and list_date; `sessions` are the exchanges' trading days in order. Null before the listing, and
    for a stock that is older than the first of `sessions`. Days on which the stock itself was suspended count too.
    """
    days = pl.Series(sessions, dtype=pl.Date)
    listed = bars["list_date"]
    place = pl.Series(days.search_sorted(bars["trade_date"], side="right")).cast(pl.Int32)
    begin = pl.Series(days.search_sorted(listed, side="left")).cast(pl.Int32)
    counted = pl.DataFrame({"number": place - begin, "listed": listed}).select(
        pl.when((pl.col("number") > 0) & (pl.col("listed") >= days.first())).then("number").alias("listed_sessions")
    )
    return bars.with_columns(counted.to_series())


def with_price_limits(bars: pl.DataFrame) -> pl.DataFrame:
    """Return `bars` with `limit_up_price`, `limit_down_price`, `is_limit_up` and `is_limit_down`, rows as they were.

    `bars` has ts_code, trade_date, board, list_date, is_st, and pre_close and close as they were traded (unadjusted);
    `listed_sessions` (1 = first session), where the column is there, decides the first sessions, and without it a day in the
    first 30 after the listing may stay open. A price is in the stock's currency, rounded to its tick; it is null where
    the day has no limit and where one is not known: `is_st` null on a board that treats ST otherwise, no previous close, a
    day before the listing. A flag says that the close equals that price; it is false where there is none.
    """
    names = ("ts_code", "trade_date", "board", "list_date", "is_st", "pre_close", "close")
    has_sessions = "listed_sessions" in bars.columns
    boards = pl.Enum(sorted({rule.board for rule in DAILY_LIMITS}))
    facts = bars.lazy().select(
        *names[1:2],
        *names[3:],
        pl.col("board").cast(boards),
        (pl.col("listed_sessions") if has_sessions else pl.lit(None)).cast(pl.Int32).alias("listed_sessions"),
        _ticks_per_unit().alias("scale"),
    )
    limits = (
        facts.with_columns(_session_at_least().alias("session"))
        .with_columns(_percent(up=True).alias("up"), _percent(up=False).alias("down"))
        .with_columns(_ticks("pre_close").alias("before"), _ticks("close").alias("now"))
        .with_columns(pl.when(pl.col("before") > 0).then("before").alias("before"))
        .with_columns(
            # Of a price of few ticks the percentage may be less than one: then one tick is the limit.
            pl.max_horizontal(_part(100 + pl.col("up"), beijing=0), _one_tick_away(1, "up")).alias("high"),
            pl.min_horizontal(_part(100 - pl.col("down"), beijing=99), _one_tick_away(-1, "down"))
            .clip(lower_bound=1)
            .alias("low"),
        )
        .select(
            "high",
            "low",
            "scale",
            (pl.col("now") == pl.col("high")).fill_null(value=False).alias("is_limit_up"),
            (pl.col("now") == pl.col("low")).fill_null(value=False).alias("is_limit_down"),
        )
        .collect()
    )
    return bars.with_columns(
        _price(limits, "high").alias("limit_up_price"),
        _price(limits, "low").alias("limit_down_price"),
        *limits.select("is_limit_up", "is_limit_down").get_columns(),
    )


def _price(limits: pl.DataFrame, ticks: str) -> pl.Series:
    """Return ticks as a price, the double next to it.

    Not by polars: it multiplies by 1 / scale where it knows that all rows have one scale, which is another double at times.
    """
    return pl.Series(limits[ticks].to_numpy() / limits["scale"].to_numpy(), dtype=pl.Float64).fill_nan(None)


def _ticks_per_unit() -> pl.Expr:
    """1,000 for Shanghai's B shares, priced in USD to three decimals; 100 for everything else."""
    is_usd = (pl.col("board") == "b_share") & pl.col("ts_code").str.ends_with(".SH")
    return pl.when(is_usd).then(1000).otherwise(100).cast(pl.Int64)


def _ticks(price: str) -> pl.Expr:
    return (pl.col(price) * pl.col("scale")).round().cast(pl.Int64, strict=False)


def _part(percent: pl.Expr, *, beijing: int) -> pl.Expr:
    """Return so many percent of the previous close in ticks; `beijing` hundredths are added there, elsewhere a half."""
    return (pl.col("before") * percent + pl.when(pl.col("board") == "bse").then(beijing).otherwise(50)) // 100


def _one_tick_away(ticks: int, limit: str) -> pl.Expr:
    return pl.when(pl.col(limit).is_not_null()).then(pl.col("before") + ticks)


def _session_at_least() -> pl.Expr:
    """Return the number of the session since listing; where nobody counted, the least that it can be."""
    age = pl.col("trade_date") - pl.col("list_date")
    most = max(rule.sessions for rule in FIRST_SESSIONS)
    least = (
        pl.when(age > _SURELY_PAST).then(most + 1).when(age > timedelta(0)).then(2).when(age == timedelta(0)).then(1)
    )
    return pl.coalesce("listed_sessions", least).cast(pl.Int32)


def _percent(*, up: bool) -> pl.Expr:
    """Return the limit of each row in percent, null where there is none or it is not known."""
    usual = pl.lit(None, dtype=pl.Int64)
    for rule in DAILY_LIMITS:
        percent = pl.lit(rule.percent) if rule.st is None else _by_warning(rule.percent, rule.st)
        applies = (pl.col("board") == rule.board) & (pl.col("trade_date") >= rule.first_day)
        usual = pl.when(applies).then(percent.cast(pl.Int64)).otherwise(usual)
    first = pl.lit(0, dtype=pl.Int64)
    for rule in FIRST_SESSIONS:
        applies = (pl.col("board") == rule.board) & (pl.col("list_date") >= rule.listed_from)
        percent = pl.lit(rule.up if up else rule.down, dtype=pl.Int64)
        inside = pl.when(pl.col("session") <= rule.sessions).then(percent).otherwise(0)
        first = pl.when(applies).then(inside).otherwise(first)
    is_known = pl.col("session") >= 1
    return pl.when(is_known).then(pl.when(first == 0).then(usual).otherwise(first))


def _by_warning(percent: int, warned: int) -> pl.Expr:
    return pl.when(pl.col("is_st")).then(warned).when(~pl.col("is_st")).then(percent)
