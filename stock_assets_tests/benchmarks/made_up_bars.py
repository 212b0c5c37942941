"""Made-up daily bars by the million: conformed frames of any size, the same for one seed."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from stock_assets.domain.tables import STOCK_DAILY

FIRST = date(2005, 1, 3)
UPDATED_AT = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)


def codes(count: int) -> list[str]:
    """Return `count` codes in order."""
    return [f"{600000 + number:06d}.SH" for number in range(count)]


def sessions(count: int) -> list[date]:
    """Return `count` weekdays from the first one on."""
    return [FIRST + timedelta(days=7 * (number // 5) + number % 5) for number in range(count)]


def bars(ts_codes: Sequence[str], days: Sequence[date], *, seed: int = 1) -> pl.DataFrame:
    """Return a bar for each code and day, in key order: random walks in cents, volumes in lots, ratios that follow."""
    random = np.random.default_rng(seed)
    shape = (len(ts_codes), len(days))
    walk = np.exp(np.cumsum(random.normal(0, 0.02, shape), axis=1)) * random.uniform(4, 80, (len(ts_codes), 1))
    close = np.clip(np.rint(walk * 100), 50, 2_000_000)
    before = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    opened = np.rint(before * random.normal(1, 0.005, shape))
    high = np.rint(np.maximum(opened, close) * random.uniform(1, 1.02, shape))
    low = np.rint(np.minimum(opened, close) * random.uniform(0.98, 1, shape))
    volume = np.rint(random.lognormal(15, 1, shape) / 100) * 100
    prices = {"open": opened, "high": high, "low": low, "close": close, "pre_close": before}
    earnings = random.uniform(0.1, 5, (len(ts_codes), 4))
    ratios = {
        name: np.round(close / 100 / earnings[:, number : number + 1], 6).ravel()
        for number, name in enumerate(("pe_ttm", "pb_mrq", "ps_ttm", "pcf_ncf_ttm"))
    }
    columns = {
        "ts_code": np.repeat(np.array(ts_codes, dtype=object), len(days)),
        "trade_date": np.tile(np.array(days, dtype="datetime64[D]"), len(ts_codes)),
        **{name: values.ravel() / 100 for name, values in prices.items()},
        "volume": volume.ravel().astype(np.int64),
        "amount": np.round(volume * close / 100 * random.uniform(0.99, 1.01, shape), 2).ravel(),
        "turnover_rate": np.round(random.lognormal(0, 1, shape), 6).ravel(),
        "pct_chg": np.round((close / before - 1) * 100, 6).ravel(),
        "is_suspended": np.zeros(close.size, dtype=bool),
        "is_st": np.zeros(close.size, dtype=bool),
        **ratios,
    }
    frame = pl.DataFrame(columns, schema_overrides={"ts_code": pl.String()})
    updated = pl.lit(UPDATED_AT).cast(pl.Datetime("us", "UTC")).alias("updated_at")
    return STOCK_DAILY.conform(frame.with_columns(pl.lit("made up").alias("source"), updated))


def market_days(stocks: int, days: Sequence[date]) -> Iterator[pl.DataFrame]:
    """Yield one frame a day, as a nightly load brings them."""
    whole = bars(codes(stocks), days)
    for day in days:
        yield whole.filter(pl.col("trade_date") == day)


def histories(stocks: int, days: Sequence[date], *, stocks_a_frame: int) -> Iterator[pl.DataFrame]:
    """Yield whole histories, some stocks a frame, as a computation over the market brings them."""
    named = codes(stocks)
    for first in range(0, stocks, stocks_a_frame):
        yield bars(named[first : first + stocks_a_frame], days, seed=first)
