"""The made-up market that everything is shown on is clean by the same rules."""

from datetime import date

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.codes import board_of, is_stock_code
from stock_assets.quality.validator import Evidence, validate
from stock_assets.simulator.base import BAR_FIELDS, FACTOR_FIELDS, Rows
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.sources.baostock.translate import translate_daily, translate_factors

SESSIONS = weekdays(date(2019, 6, 3), date(2021, 12, 31))


def frame(rows: Rows, fields: tuple[str, ...]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(fields, pl.String), orient="row")


def securities(market: SimulatedMarket) -> pl.DataFrame:
    rows = [
        (code, board_of(code), date.fromisoformat(listed), date.fromisoformat(gone) if gone else None)
        for name, _, listed, gone, kind, _ in market.stock_basic(SESSIONS[-1])
        if kind == "1" and is_stock_code(code := f"{name[3:]}.{name[:2].upper()}")
    ]
    schema = {"ts_code": pl.String, "board": pl.String, "list_date": pl.Date, "delist_date": pl.Date}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_a_simulated_market_over_a_change_of_limits_has_no_fault() -> None:
    market = SimulatedMarket(11, 60, sessions=SESSIONS)
    bars = translate_daily(frame([row for day in SESSIONS for row in market.daily_bars(day)], BAR_FIELDS)).frame
    factors = translate_factors(frame(market.every_adjust_factor(SESSIONS[-1]), FACTOR_FIELDS)).frame
    found = validate(
        Evidence(
            days=SESSIONS[1:],
            calendar=TradingCalendar.of(SESSIONS),
            securities=securities(market),
            bars=bars,
            factors=factors,
            factor_days=SESSIONS,
            factors_from=SESSIONS[0],
        )
    )
    assert bars.height > 20_000
    assert factors.height > 50
    # First days move as far as they like.
    assert set(found["rule"]) <= {"extreme_move"}
