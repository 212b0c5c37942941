"""Every planted error is found by exactly the rule that should, on its own stock and day, and by no other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

from stock_assets.quality.catalog import RULES, rule_of
from stock_assets.quality.findings import WHOLE_DAY
from stock_assets.quality.validator import Evidence, validate
from stock_assets_tests.quality.made_up_market import (
    CALENDAR as TRADING,
)
from stock_assets_tests.quality.made_up_market import (
    DAYS,
    EX_DATE,
    LAST,
    LISTED_ON,
    NEW,
    SESSIONS,
    SUSPENDED,
    WARNED,
    Market,
    made_up_market,
)

Plant = Callable[[Market], Market]
X = "600000.SH"
SATURDAY = LAST - timedelta(days=6)
BARS, FACTORS, INDICATORS, REPORTS, CALENDAR = (
    "stock_daily", "adjust_factor", "technical_daily", "finance_indicator", "trading_day",
)  # fmt: skip
CLEAN = made_up_market()


def bar(**values: object) -> Plant:
    return lambda market: market.change_bar(X, LAST, **values)


def scaled(code: str = X, **factors: float) -> Plant:
    return lambda market: market.scale_bar(code, LAST, **factors)


def moved(name: str, offset: float, code: str = X, day: date = LAST) -> Plant:
    return lambda market: market.change_bar(code, day, **{name: round(market.bar(code, day)[name] + offset, 4)})


def indicator(**values: object) -> Plant:
    return lambda market: market.change_indicator(X, LAST, **values)


def off(**offsets: float) -> Plant:
    return lambda market: market.move_indicator(X, LAST, **offsets)


def report(**values: object) -> Plant:
    return lambda market: market.change_report(**values)


def reference(change: Callable[[float], float]) -> Plant:
    """Another pre_close, with the change that follows from it."""

    def plant(market: Market) -> Market:
        close, before = (market.bar(X, LAST)[name] for name in ("close", "pre_close"))
        pre_close = round(change(before), 2)
        return market.change_bar(X, LAST, pre_close=pre_close, pct_chg=(close / pre_close - 1) * 100)

    return plant


def copied(code: str) -> Plant:
    """The whole bar of the session before once more."""
    return lambda market: market.change_bar(
        code,
        LAST,
        **{
            name: value
            for name, value in market.bar(code, SESSIONS[-2]).items()
            if name not in {"ts_code", "trade_date"}
        },
    )


def beyond(code: str, percent: float, name: str) -> Plant:
    return lambda market: market.change_bar(
        code, LAST, **{name: round(market.bar(code, LAST)["pre_close"] * (1 + percent / 100), 2)}
    )


def first_day(market: Market) -> Market:
    """A first session that closes 60 % above the issue price."""
    close = market.bar(NEW, LISTED_ON)["close"]
    issued = round(close / 1.6, 2)
    return market.change_bar(NEW, LISTED_ON, pre_close=issued, pct_chg=(close / issued - 1) * 100)


def next_factor(times: float) -> Plant:
    """One more factor of the last day."""
    return lambda market: market.add_factor(
        "000001.SZ", LAST, round(market.factors.filter(ts_code="000001.SZ")[-1, "back_adjust_factor"] * times, 6)
    )


def unseen(times: float) -> Plant:
    """One more factor, on a day without a bar."""
    return lambda market: next_factor(times)(market.drop_bar("000001.SZ", LAST))


def delisted(day: date) -> Plant:
    gone = pl.when(pl.col("ts_code") == X).then(pl.lit(day)).otherwise("delist_date").alias("delist_date")
    return lambda market: replace(market, securities=market.securities.with_columns(gone))


def unlisted(market: Market) -> Market:
    """A bar of the new stock on the day before its first."""
    day = SESSIONS[SESSIONS.index(LISTED_ON) - 1]
    return market.add_bar((NEW, LISTED_ON), trade_date=day, pre_close=15.0, close=15.0, pct_chg=0.0, open=15.0, high=15.5,
                          low=14.5, volume=1_000_000, amount=15_000_000.0, turnover_rate=0.5)  # fmt: skip


def recomputed(market: Market) -> Market:
    rows = [(X, LAST, "ma_5", "10.0", "10.1"), (X, LAST, "ma_10", "10.0", "10.1")]
    schema = {
        "ts_code": pl.String,
        "trade_date": pl.Date,
        "column": pl.String,
        "stored": pl.String,
        "computed": pl.String,
    }
    return replace(market, recomputed=pl.DataFrame(rows, schema=schema, orient="row"))


def weekend(market: Market) -> Market:
    sunday, monday = (SATURDAY + timedelta(days=number) for number in (1, 2))
    opened = market.change_day(SATURDAY, is_open=True)
    return opened.change_day(sunday, previous_open=SATURDAY).change_day(monday, previous_open=SATURDAY)


Case = tuple[str, Plant, str, str, str, date]
OF_X: list[tuple[str, Plant, str]] = [
    ("no close", bar(close=None), "close_missing"),
    *(
        (f"{name} 0", bar(**{name: 0.0}), "price_not_positive")
        for name in ("open", "high", "low", "close", "pre_close")
    ),
    *((f"{name} -1", bar(**{name: -1.0}), "price_not_positive") for name in ("open", "close")),
    ("high below low", bar(high=5.0, low=6.0), "high_below_low"),
    (
        "high below open",
        lambda m: m.change_bar(X, LAST, open=m.bar(X, LAST)["high"] + 0.01),
        "high_below_open_or_close",
    ),
    (
        "high below close",
        lambda m: m.change_bar(X, LAST, close=m.bar(X, LAST)["high"] + 0.01),
        "high_below_open_or_close",
    ),
    ("low above open", lambda m: m.change_bar(X, LAST, open=m.bar(X, LAST)["low"] - 0.01), "low_above_open_or_close"),
    ("low above close", lambda m: m.change_bar(X, LAST, close=m.bar(X, LAST)["low"] - 0.01), "low_above_open_or_close"),
    ("volume -1", bar(volume=-1), "volume_negative"),
    ("amount -1", bar(amount=-1.0), "amount_negative"),
    ("turnover -1", bar(turnover_rate=-1.0), "turnover_negative"),
    ("the row twice", lambda m: m.add_bar((X, LAST)), "duplicate_key"),
    ("two rows that differ", lambda m: m.add_bar((X, LAST), volume=2_345_678), "duplicate_key"),
    ("suspended, with volume", bar(is_suspended=True), "suspended_with_volume"),
    ("traded, no volume", bar(volume=None), "traded_without_volume"),
    ("traded, volume 0", bar(volume=0), "traded_without_volume"),
    ("traded, nothing told", bar(volume=None, amount=None, pct_chg=None, turnover_rate=None), "traded_without_volume"),
    *((f"no {name}", bar(**{name: None}), "price_missing") for name in ("open", "high", "low", "pre_close")),
    *(
        (f"{name} between ticks", moved(name, offset), "price_off_tick")
        for name, offset in (("open", 0.003), ("high", 0.003), ("low", -0.003), ("close", 0.003), ("pre_close", 0.003))
    ),
    (
        "forward-adjusted bar",
        scaled(open=0.9362, high=0.9362, low=0.9362, close=0.9362, pre_close=0.9362),
        "price_off_tick",
    ),
    (
        "back-adjusted bar",
        scaled(open=5.1194, high=5.1194, low=5.1194, close=5.1194, pre_close=5.1194),
        "price_off_tick",
    ),
    ("no change", bar(pct_chg=None), "pct_chg_missing"),
    ("change 1 % too high", moved("pct_chg", 1.0), "pct_chg_inconsistent"),
    ("change 0.06 % too low", moved("pct_chg", -0.06), "pct_chg_inconsistent"),
    ("change as a share", scaled(pct_chg=0.01), "pct_chg_inconsistent"),
    ("pre_close above, change fits", reference(lambda price: price + 0.05), "pre_close_above_previous_close"),
    ("pre_close one tick above", reference(lambda price: price + 0.01), "pre_close_above_previous_close"),
    ("pre_close above, change does not fit", moved("pre_close", 0.3), "pre_close_contradicted"),
    ("pre_close below, change does not fit", moved("pre_close", -0.3), "pre_close_contradicted"),
    *((f"no amount {value}", bar(amount=value), "amount_missing") for value in (None, 0.0)),
    ("volume in hundredths", scaled(volume=100), "units_inconsistent"),
    ("volume in lots", scaled(volume=0.01), "units_inconsistent"),
    ("amount in thousandths", scaled(amount=1000), "units_inconsistent"),
    ("amount in thousands", scaled(amount=0.001), "units_inconsistent"),
    ("amount in ten thousands", scaled(amount=0.0001), "units_inconsistent"),
    ("amount tenfold", scaled(amount=10), "units_inconsistent"),
    ("amount a third more", scaled(amount=1.33), "mean_price_outside_range"),
    ("amount a third less", scaled(amount=0.67), "mean_price_outside_range"),
    ("half the volume is missing", scaled(volume=0.5), "mean_price_outside_range"),
    ("amount of a lot more", scaled(amount=1.02), "mean_price_outside_range"),
    ("turnover 120 %", bar(turnover_rate=120.0), "turnover_above_100"),
    ("no turnover", bar(turnover_rate=None), "turnover_missing"),
    ("turnover 0", bar(turnover_rate=0.0), "turnover_missing"),
    ("turnover as a share", scaled(turnover_rate=0.01), "float_shares_jump"),
    ("turnover hundredfold", bar(turnover_rate=99.0), "float_shares_jump"),
    ("volume and amount hundredfold", scaled(volume=100, amount=100), "float_shares_jump"),
    ("delisted today", delisted(LAST), "outside_listing"),
]
OF_OTHERS: list[Case] = [
    ("a code of nobody", lambda m: m.add_bar((X, LAST), ts_code="600999.SH"), BARS, "unknown_code", "600999.SH", LAST),
    ("an index", lambda m: m.add_bar((X, LAST), ts_code="399001.SZ"), BARS, "unknown_code", "399001.SZ", LAST),
    ("a bar on a Saturday", lambda m: m.add_bar((X, LAST), trade_date=SATURDAY), BARS, "not_a_session", X, SATURDAY),
    ("a suspended high", moved("high", 0.05, SUSPENDED), BARS, "suspended_prices_move", SUSPENDED, LAST),
    ("a suspended low", moved("low", -0.05, SUSPENDED), BARS, "suspended_prices_move", SUSPENDED, LAST),
    ("before the listing", unlisted, BARS, "outside_listing", NEW, SESSIONS[SESSIONS.index(LISTED_ON) - 1]),
    ("a first day", first_day, BARS, "extreme_move", NEW, LISTED_ON),
    *(
        (f"copy of yesterday {code}", copied(code), BARS, "bar_repeated", code, LAST)
        for code in (X, "000001.SZ", "300750.SZ", "688001.SH", "920001.BJ", WARNED)
    ),
    *(
        (f"{name} {percent} % {code}", beyond(code, percent, name), BARS, "beyond_price_limit", code, LAST)
        for code, percent, name in (
            (X, 10.5, "high"), (X, -10.5, "low"), ("000001.SZ", 12.0, "high"), (WARNED, 11.0, "high"),
            ("300750.SZ", 20.5, "high"), ("300750.SZ", -20.5, "low"), ("688001.SH", 21.0, "high"),
            ("688001.SH", -21.0, "low"), ("920001.BJ", 31.0, "high"), ("920001.BJ", -31.0, "low"),
        )
    ),
    (
        "volume of the session before in hundredths", lambda m: m.scale_bar(X, DAYS[-2], volume=100),
        BARS, "units_inconsistent", X, DAYS[-2],
    ),
    *(
        (f"no factor {code}", lambda m, code=code: m.drop_factor(code, EX_DATE), FACTORS, "ex_date_without_factor", code, EX_DATE)
        for code in ("000001.SZ", "300750.SZ")
    ),
    ("an unknown dividend", reference(lambda price: price - 0.2), FACTORS, "ex_date_without_factor", X, LAST),
    ("factor on a plain day", next_factor(1.05), FACTORS, "factor_without_ex_date", "000001.SZ", LAST),
    (
        "factor a day late", lambda m: m.drop_factor("000001.SZ", EX_DATE).add_factor("000001.SZ", LAST, 1.08),
        FACTORS, "ex_date_without_factor", "000001.SZ", EX_DATE,
    ),
    *(
        (f"factor {times} {code}", lambda m, code=code, times=times: m.change_factor(code, EX_DATE, times),
         FACTORS, "factor_step_inconsistent", code, EX_DATE)
        for code in ("000001.SZ", "300750.SZ") for times in (1.02, 0.999, 10.0)
    ),
    ("factor falls", next_factor(0.9), FACTORS, "factor_falls", "000001.SZ", LAST),
    ("forward factor", lambda m: m.change_factor("000001.SZ", EX_DATE, 0.5), FACTORS, "factor_falls", "000001.SZ", EX_DATE),
    ("factor falls, unseen", unseen(0.9), FACTORS, "factor_falls", "000001.SZ", LAST),
    (
        "factor times twelve, unseen", unseen(12.0), FACTORS, "factor_step_extreme", "000001.SZ", LAST,
    ),
    (
        "the same factor again", next_factor(1.0),
        FACTORS, "factor_unchanged", "000001.SZ", LAST,
    ),
    ("factor 0", lambda m: m.add_factor(SUSPENDED, LAST, 0.0), FACTORS, "factor_not_positive", SUSPENDED, LAST),
    ("factor -1", lambda m: m.add_factor(X, LAST, -1.0), FACTORS, "factor_not_positive", X, LAST),
    ("factor of nobody", lambda m: m.add_factor("600999.SH", LAST, 1.1), FACTORS, "unknown_code", "600999.SH", LAST),
    (
        "factor twice", lambda m: m.add_factor("000001.SZ", EX_DATE, 1.5), FACTORS, "duplicate_key", "000001.SZ", EX_DATE,
    ),
    ("ex-date on a Saturday", lambda m: m.add_factor(X, SATURDAY, 1.1), FACTORS, "ex_date_not_a_session", X, SATURDAY),
    (
        "ex-date before the listing", lambda m: m.add_factor(NEW, DAYS[2], 1.1),
        FACTORS, "ex_date_outside_listing", NEW, DAYS[2],
    ),
    (
        "indicators of a suspended day", lambda m: m.add_indicator((X, LAST), ts_code=SUSPENDED),
        INDICATORS, "indicator_without_bar", SUSPENDED, LAST,
    ),
    (
        "indicators without a bar", lambda m: replace(m, bars=m.bars.filter((pl.col("ts_code") != X) | (pl.col("trade_date") < LAST))),
        INDICATORS, "indicator_without_bar", X, LAST,
    ),
    *(
        (f"{name} {value}", indicator(**{name: value}), INDICATORS, "indicator_out_of_bounds", X, LAST)
        for name, value in (
            ("rsi_6", 120.0), ("rsi_12", -5.0), ("rsi_24", 100.1), ("kdj_k", 130.0), ("kdj_d", -2.0), ("wr_10", -3.0),
            ("wr_6", 101.0), ("psy_12", 108.0), ("dmi_pdi", -1.0), ("dmi_mdi", 150.0), ("dmi_adx", 101.0), ("atr_14", -0.1),
            ("true_range", -0.1), ("vr_26", -1.0), ("volume_ma_5", -1.0), ("ma_5", -1.0), ("up_days", -1),
        )
    ),
    *(
        (f"{name} off by {offset}", off(**{name: offset}), INDICATORS, "indicators_inconsistent", X, LAST)
        for name, offset in (
            ("dif", 0.1), ("dea", 0.1), ("macd", -0.1), ("ema_12", 0.001), ("ema_26", 0.1), ("kdj_j", 1.0), ("kdj_k", 0.01),
            ("boll_mid", 0.1), ("boll_upper", 0.1), ("boll_lower", 0.001), ("ma_20", 0.1), ("high_20", -9.0), ("high_60", -9.0),
            ("high_250", -9.0), ("low_60", 90.0), ("low_250", 90.0), ("limit_up_price", -9.0),
        )
    ),
    ("rising and falling", indicator(up_days=2, down_days=3), INDICATORS, "indicators_inconsistent", X, LAST),
    *(
        (f"{name} {value}", indicator(**{name: value}), INDICATORS, "indicator_not_finite", X, LAST)
        for name, value in (("rsi_6", float("nan")), ("ma_20", float("inf")), ("dif", float("nan")))
    ),
    ("at no limit", indicator(is_limit_up=True, limit_up_price=None), INDICATORS, "limit_flag_without_price", X, LAST),
    ("at both limits", indicator(is_limit_up=True, is_limit_down=True), INDICATORS, "limit_flag_without_price", X, LAST),
    ("indicators twice", lambda m: m.add_indicator((X, LAST)), INDICATORS, "duplicate_key", X, LAST),
    ("computed otherwise", recomputed, INDICATORS, "indicator_recomputed_differs", X, LAST),
    *(
        (f"report {values}", report(**values), REPORTS, rule, X, DAYS[15])
        for values, rule in (
            ({"grossprofit_margin": 4.0}, "parts_not_whole"), ({"cogs_of_sales": 0.6}, "parts_not_whole"),
            ({"nca_to_assets": 50.0}, "parts_not_whole"), ({"longdeb_to_debt": 25.0}, "parts_not_whole"),
            ({"ca_to_assets": 120.0, "nca_to_assets": -20.0}, "share_out_of_bounds"),
            ({"currentdebt_to_debt": 101.0, "longdeb_to_debt": -1.0}, "share_out_of_bounds"),
            ({"debt_to_assets": -5.0}, "share_out_of_bounds"), ({"debt_to_assets": 0.6}, "leverage_inconsistent"),
            ({"assets_to_eqt": 3.0}, "leverage_inconsistent"), ({"debt_to_eqt": 15.0}, "leverage_inconsistent"),
            ({"retainedps": 6.0, "retained_earnings": 6e9}, "per_share_inconsistent"),
            ({"surplus_rese_ps": 1.1}, "per_share_inconsistent"), ({"ebit": 2e6}, "per_share_inconsistent"),
            ({"ebit_ps": 2.5}, "per_share_inconsistent"), ({"retained_earnings": 5e8}, "per_share_inconsistent"),
            ({"ebit_of_gr": 0.2}, "margin_inconsistent"), ({"total_revenue_ps": 11.0}, "margin_inconsistent"),
            ({"quick_ratio": 2.5}, "liquidity_out_of_order"), ({"cash_ratio": 1.9}, "liquidity_out_of_order"),
            ({"known_from": DAYS[15]}, "known_before_announced"), ({"known_from": DAYS[3]}, "known_before_announced"),
            ({"end_date": date(2026, 9, 29)}, "period_not_quarter_end"), ({"end_date": date(2026, 10, 31)}, "period_not_quarter_end"),
            ({"end_date": date(2026, 12, 31)}, "announced_before_period_end"),
        )
    ),
    ("report twice", lambda m: replace(m, reports=pl.concat([m.reports] * 2)), REPORTS, "duplicate_key", X, DAYS[15]),
    (
        "a day is missing in the calendar", lambda m: replace(m, trading_days=m.trading_days.filter(pl.col("trade_date") != SATURDAY)),
        CALENDAR, "calendar_day_missing", WHOLE_DAY, SATURDAY + timedelta(days=1),
    ),
    ("a Saturday with trading", weekend, CALENDAR, "session_on_weekend", WHOLE_DAY, SATURDAY),
    ("the wrong day before", lambda m: m.change_day(LAST, previous_open=DAYS[3]), CALENDAR, "previous_open_wrong", WHOLE_DAY, LAST),
    ("calendars that differ", lambda m: m.change_day(LAST, sources_agree=False), CALENDAR, "calendars_differ", WHOLE_DAY, LAST),
    (
        "a day twice", lambda m: replace(m, trading_days=pl.concat([m.trading_days, m.trading_days[-1:]])),
        CALENDAR, "duplicate_key", WHOLE_DAY, LAST,
    ),
]  # fmt: skip
CASES: list[Case] = [*((name, plant, BARS, rule, X, LAST) for name, plant, rule in OF_X), *OF_OTHERS]
# What a source cannot have said of a stored row, and what landing and the ledger say of whole days.
NOT_OF_ROWS = {"suspended_volume_zero", "suspended_volume_empty", "bars_missing"}
NOT_IN_THE_STORE = {(REPORTS, "unknown_code"), (REPORTS, "no_figures")}


def told(findings: pl.DataFrame) -> set[tuple[str, str, str, date]]:
    return set(findings.select("dataset", "rule", "ts_code", "trade_date").iter_rows())


def test_nothing_is_found_in_a_market_without_a_fault() -> None:
    assert CLEAN.findings().rows() == []


@pytest.mark.parametrize(("name", "plant", "dataset", "rule", "code", "day"), CASES, ids=[case[0] for case in CASES])
def test_a_planted_error_is_found_by_exactly_its_rule(
    name: str, plant: Plant, dataset: str, rule: str, code: str, day: date
) -> None:
    findings = plant(CLEAN).findings()
    missed = {
        # A factor that comes late is wrong on both days.
        "factor a day late": {(FACTORS, "factor_without_ex_date", "000001.SZ", LAST)},
    }.get(name, set())
    assert told(findings) == {(dataset, rule, code, day)} | missed
    assert set(findings.filter(pl.col("rule") == rule)["severity"]) == {rule_of(dataset, rule).severity}


def test_there_are_a_hundred_planted_errors_and_more_and_every_rule_has_one() -> None:
    assert len(CASES) >= 100
    assert len({case[0] for case in CASES}) == len(CASES)
    planted = {(case[2], case[3]) for case in CASES}
    rules = {
        (rule.dataset, rule.name) for rule in RULES if rule.subject != "answer" and rule.name not in NOT_OF_ROWS
    } - NOT_IN_THE_STORE
    assert rules - planted == set()


def test_what_explains_another_finding_is_a_rule_itself() -> None:
    names = {rule.name for rule in RULES}
    assert {name for rule in RULES for name in rule.explains} <= names


def test_a_repair_names_the_day_and_where_it_may_the_stock() -> None:
    for rule in RULES:
        command = rule.repair_of(LAST, X)
        assert command.startswith("stock-assets "), command
        assert "{" not in command
        assert "--codes" not in rule.repair_of(LAST)


def test_findings_come_worst_first() -> None:
    market = CLEAN.change_bar(X, LAST, volume=-1).change_bar("000001.SZ", LAST, pct_chg=None)
    assert first_day(market).findings()["severity"].to_list() == ["error", "warning", "info"]


def test_what_is_not_given_is_not_judged() -> None:
    assert validate(Evidence(days=[LAST], calendar=TRADING, securities=CLEAN.securities)).is_empty()
