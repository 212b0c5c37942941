"""The market as Tushare tells it: one answer of three interfaces, the same bars as BaoStock's, and never a part for the whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from stock_assets.domain.answers import Answer, Broken, ProvenEmpty, Refused, Rows, Truncated
from stock_assets.domain.errors import AnswerBroken, NotReady, PointsMissing, SourceUnavailable
from stock_assets.domain.tables import (
    RAW_TUSHARE_ADJ_FACTOR,
    RAW_TUSHARE_DAILY,
    RAW_TUSHARE_DAILY_BASIC,
    RAW_TUSHARE_SUSPEND,
    STOCK_DAILY,
)
from stock_assets.quality.bar_rules import judge_bars
from stock_assets.quality.reconciliation import reconcile
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.simulator.tushare_delivery import HttpReply
from stock_assets.simulator.tushare_market import SimulatedTushare, beijing_market
from stock_assets.simulator.tushare_server import TushareServer
from stock_assets.sources.baostock.client import BaoStockClient
from stock_assets.sources.tushare import joined
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.interfaces import ADJ_FACTOR, DAILY, DAILY_BASIC, STOCK_BASIC, SUSPEND_D
from stock_assets.sources.tushare.source import TushareSource
from stock_assets_tests.sources.tushare.conftest import said, success

if TYPE_CHECKING:
    from stock_assets.simulator.faults import Fault
    from stock_assets.sources.base import MarketSource
    from stock_assets.sources.tushare.interfaces import Interface

SESSIONS = weekdays(date(2022, 1, 4), date(2024, 6, 28))
SEED = 11
HALTED_DAY = date(2023, 9, 6)
DAYS = SESSIONS[SESSIONS.index(HALTED_DAY) - 59 :][:60]


@pytest.fixture(scope="module")
def shares() -> SimulatedMarket:
    return SimulatedMarket(SEED, 60, sessions=SESSIONS)


@pytest.fixture(scope="module")
def far_end(shares: SimulatedMarket) -> Iterator[TushareServer]:
    """Tushare over the market, Beijing's stocks included."""
    market = SimulatedTushare(shares, beijing_market(SEED, 60, SESSIONS), seed=SEED)
    with TushareServer(market, points=5000) as server:
        yield server


@pytest.fixture
def source(far_end: TushareServer, client_of: Callable[..., TushareClient]) -> TushareSource:
    return TushareSource(client_of(far_end))


@pytest.fixture(scope="module")
def other(shares: SimulatedMarket) -> Iterator[BaoStockClient]:
    """BaoStock over the same market."""
    with BaoStockServer(shares) as server:
        client = BaoStockClient(host=server.host, port=server.port)
        yield client
        client.close()


def rows(answer: Answer) -> pl.DataFrame:
    assert isinstance(answer, Rows), answer
    return answer.frame


def bars(source: MarketSource, answer: Answer) -> pl.DataFrame:
    translated = source.translate_daily(rows(answer))
    assert translated.unreadable == ()
    return translated.frame


def halted_day(source: TushareSource) -> tuple[date, pl.DataFrame]:
    """A day on which stocks are suspended, and its bars."""
    found = bars(source, source.daily_of_day(HALTED_DAY))
    assert found["is_suspended"].sum() == 3
    return HALTED_DAY, found


def test_both_sources_tell_the_same_days(source: TushareSource, other: BaoStockClient) -> None:
    ours = pl.concat([bars(other, other.daily_of_day(day)) for day in DAYS[-12:]])
    theirs = pl.concat([bars(source, source.daily_of_day(day)) for day in DAYS[-12:]])
    result = reconcile(ours, theirs, exchanges=("SH", "SZ"))
    assert result.is_passed, result.worst()
    assert result.left_out > 0
    assert result.counts.get("suspension", {}).get("row", 0) == 0
    assert result.compared == ours.height == theirs.filter(~pl.col("ts_code").str.ends_with(".BJ")).height


def test_a_suspended_stock_has_its_last_close_and_nothing_else(source: TushareSource) -> None:
    day, found = halted_day(source)
    for row in found.filter(pl.col("is_suspended")).iter_rows(named=True):
        history = bars(source, source.daily_of_code(row["ts_code"], SESSIONS[0], day))
        last = history.filter(~pl.col("is_suspended")).sort("trade_date")["close"][-1]
        assert [row[name] for name in ("open", "high", "low", "close", "pre_close")] == [last] * 5
        assert [row[name] for name in ("volume", "amount", "pct_chg", "turnover_rate", "pe_ttm")] == [None] * 5


def test_a_day_passes_the_rules_on_bars(source: TushareSource) -> None:
    day, _ = halted_day(source)
    translated = source.translate_daily(rows(source.daily_of_day(day)))
    judged = judge_bars(
        translated.frame,
        asked_days=[day],
        securities=source.translate_securities(rows(source.securities())),
        unreadable=translated.unreadable,
    )
    assert judged.rejected.is_empty()
    stored = STOCK_DAILY.columns[:-2]
    assert judged.accepted.drop("raw_row").columns == [column.name for column in stored]
    assert all(judged.accepted[column.name].null_count() == 0 for column in stored if not column.nullable)


def test_one_stock_over_time_is_what_the_days_say(source: TushareSource) -> None:
    day, found = halted_day(source)
    code = found.filter(pl.col("is_suspended"))["ts_code"][0]
    at = SESSIONS.index(day)
    for start in (day, SESSIONS[at - 15]):
        by_code = bars(source, source.daily_of_code(code, start, day)).drop("raw_row").sort("trade_date")
        days = SESSIONS[SESSIONS.index(start) : at + 1]
        by_day = [bars(source, source.daily_of_day(one)).filter(pl.col("ts_code") == code) for one in days]
        assert by_code.equals(pl.concat(by_day).drop("raw_row"))


def test_the_answer_splits_into_what_each_interface_sent(
    source: TushareSource, far_end: TushareServer, client_of: Callable[..., TushareClient]
) -> None:
    day, found = halted_day(source)
    client = client_of(far_end)
    parts = {table.name: frame for table, frame in source.raw_daily(rows(source.daily_of_day(day)))}
    assert parts[RAW_TUSHARE_DAILY.name].equals(rows(client.daily_of_day(day)))
    assert (
        parts[RAW_TUSHARE_DAILY_BASIC.name].sort("ts_code").equals(rows(client.daily_basic_of_day(day)).sort("ts_code"))
    )
    suspended = rows(client.suspend_d_of_day(day)).with_columns(pl.col("suspend_timing").fill_null(""))
    assert parts[RAW_TUSHARE_SUSPEND.name].equals(suspended)
    assert parts[RAW_TUSHARE_SUSPEND.name].height >= found["is_suspended"].sum() > 0
    for table in (RAW_TUSHARE_DAILY, RAW_TUSHARE_DAILY_BASIC, RAW_TUSHARE_SUSPEND):
        assert set(parts[table.name].columns) == set(table.empty_text().columns)
    nothing = source.raw_daily(source.no_daily())
    assert [table.name for table, frame in nothing if frame.is_empty()] == list(parts)
    assert source.translate_daily(source.no_daily()).frame.is_empty()


def test_ex_dates_are_those_that_the_other_source_names(source: TushareSource, other: BaoStockClient) -> None:
    found: list[pl.DataFrame] = []
    for day in DAYS:
        answer = source.factors_of_day(day)
        ex_dates = source.translate_factors(rows(answer)).frame
        assert set(ex_dates["ex_date"]) <= {day}
        found.append(ex_dates.drop("raw_row"))
        told = other.factors_of_day(day)
        theirs = set(other.translate_factors(told.frame).frame["ts_code"]) if isinstance(told, Rows) else set[str]()
        assert set(ex_dates["ts_code"].filter(~ex_dates["ts_code"].str.ends_with(".BJ"))) == theirs
    by_day = pl.concat(found).sort("ts_code", "ex_date")
    assert by_day.height > 0
    code = by_day["ts_code"][0]
    answer = rows(source.factors_of_code(code, DAYS[0], DAYS[-1]))
    by_code = source.translate_factors(answer).frame.drop("raw_row")
    assert by_code.sort("ex_date").equals(by_day.filter(pl.col("ts_code") == code))
    ((table, kept),) = source.raw_factors(answer)
    assert (table, kept.columns) == (RAW_TUSHARE_ADJ_FACTOR, RAW_TUSHARE_ADJ_FACTOR.empty_text().columns)
    assert set(kept["trade_date"]) == {f"{day:%Y%m%d}" for day in DAYS}
    assert set(source.factors_on(answer, [DAYS[3]])["trade_date"]) == {f"{DAYS[3]:%Y%m%d}"}


def test_every_change_of_a_factor_is_kept_and_a_first_one_of_one_is_none(source: TushareSource) -> None:
    """600519.SH as recorded: a fourth decimal that moved and came back on days without an event."""
    levels = ["8.0204", "8.0205", "8.02", "8.0200", "8.1454"]
    days = [f"202406{day}" for day in (24, 25, 26, 27, 28)]
    rows = [("600519.SH", day, level) for day, level in zip(days, levels, strict=True)]
    sessions = joined.in_sequence(pl.DataFrame(rows[::-1], schema=ADJ_FACTOR.fields, orient="row"))
    told = source.translate_factors(sessions).frame
    assert told["back_adjust_factor"].to_list() == [8.0204, 8.0205, 8.02, 8.1454]
    assert told["ex_date"].dt.day().to_list() == [24, 25, 26, 28]
    first = pl.DataFrame([("688001.SH", "20240628", "1.0")], schema=ADJ_FACTOR.fields, orient="row")
    assert source.translate_factors(joined.join_factors(first, first.clear())).frame.is_empty()


def test_calendar_and_stocks_read_as_the_protocol_wants(source: TushareSource) -> None:
    days = source.translate_trade_dates(rows(source.trade_dates(DAYS[0], DAYS[-1])))
    assert days.filter(pl.col("is_open"))["trade_date"].to_list() == list(DAYS)
    stocks = source.translate_securities(rows(source.securities()))
    assert {code[7:] for code in stocks["ts_code"]} == {"SH", "SZ", "BJ"}


def test_a_stock_before_its_listing_is_proven_empty(source: TushareSource) -> None:
    stocks = source.translate_securities(rows(source.securities()))
    late = stocks.sort("list_date").row(-1, named=True)
    end = late["list_date"] - timedelta(days=1)
    assert isinstance(source.daily_of_code(late["ts_code"], end - timedelta(days=30), end), ProvenEmpty)
    assert isinstance(source.factors_of_code(late["ts_code"], end - timedelta(days=30), end), ProvenEmpty)


class OneSided(TushareServer):
    """A server of which one interface says what a test wants, and the others tell the truth."""

    def __init__(self, market: SimulatedTushare, api: str, fixed: HttpReply) -> None:
        super().__init__(market, points=5000)
        self._fixed_api, self._fixed = api, fixed

    def reply(self, body: bytes) -> tuple[HttpReply, Fault | None]:
        if json.loads(body)["api_name"] == self._fixed_api:
            return self._fixed, None
        return super().reply(body)


@pytest.fixture
def one_sided(
    shares: SimulatedMarket, client_of: Callable[..., TushareClient]
) -> Iterator[Callable[..., TushareSource]]:
    """Return a function that makes a source of which one interface answers this."""
    with ExitStack() as stack:

        def make(api: str, answer: HttpReply) -> TushareSource:
            market = SimulatedTushare(shares, seed=SEED)
            return TushareSource(client_of(stack.enter_context(OneSided(market, api, answer))))

        yield make


BARS = ("daily", "daily_basic", "suspend_d", "stock_basic")
FACTORS = ("adj_factor", "trade_cal")
NOT_ALLOWED = said(40203, "抱歉，您没有接口访问权限，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。")


@pytest.mark.parametrize("api", [*BARS, *FACTORS])
def test_a_part_that_is_refused_or_lost_decides_the_whole(one_sided: Callable[..., TushareSource], api: str) -> None:
    for reply, verdict, error in (
        (NOT_ALLOWED, Refused, PointsMissing),
        (HttpReply(b"", status=502), Broken, SourceUnavailable),
        (said(0, "", None), Broken, AnswerBroken),
    ):
        source = one_sided(api, reply)
        answers = [source.factors_of_day(DAYS[-1])] if api in FACTORS else [source.daily_of_day(DAYS[-1])]
        if api in BARS:
            answers.append(source.daily_of_code("600000.SH", DAYS[0], DAYS[-1]))
        for answer in answers:
            assert isinstance(answer, verdict)
            assert isinstance(answer.error, error)


def test_a_part_that_was_cut_off_decides_the_whole(one_sided: Callable[..., TushareSource]) -> None:
    row = ["600000.SH", f"{DAYS[-1]:%Y%m%d}", None, "S"]
    source = one_sided("suspend_d", success(SUSPEND_D.fields, [row], has_more=True))
    assert isinstance(source.daily_of_code("600000.SH", DAYS[-1], DAYS[-1]), Truncated)


@pytest.mark.parametrize(
    ("api", "interface"), [("daily", DAILY), ("daily_basic", DAILY_BASIC), ("adj_factor", ADJ_FACTOR)]
)
def test_a_day_of_which_one_part_has_no_rows_is_not_ready(
    one_sided: Callable[..., TushareSource], api: str, interface: Interface
) -> None:
    source = one_sided(api, success(interface.fields, []))
    answer = source.factors_of_day(DAYS[-1]) if api == "adj_factor" else source.daily_of_day(DAYS[-1])
    assert isinstance(answer, Refused)
    assert isinstance(answer.error, NotReady)


def test_the_cost_of_every_part_is_counted(source: TushareSource, far_end: TushareServer) -> None:
    before = far_end.requests.total()
    costs = [source.daily_of_day(DAYS[-1]).cost, source.factors_of_day(DAYS[-1]).cost]
    assert sum(cost.requests for cost in costs) == far_end.requests.total() - before >= 7
    again = source.factors_of_day(DAYS[-1]).cost
    assert again.requests == 2


def suspended(code: str, day: date, hours: str | None = None, kind: str = "S") -> list[str | None]:
    return [code, f"{day:%Y%m%d}", hours, kind]


def test_a_suspension_stands_for_a_bar_only_where_there_is_none(one_sided: Callable[..., TushareSource]) -> None:
    day = DAYS[-1]
    traded = ["600000.SH", f"{day:%Y%m%d}", *["10"] * 9]
    lines = [
        suspended("600000.SH", day, "09:30-10:00"),
        suspended("600004.SH", day, kind="R"),
        suspended("900901.SH", day),
    ]
    source = one_sided("suspend_d", success(SUSPEND_D.fields, lines))
    bars_only = joined.join_bars(
        pl.DataFrame([traded], schema=dict.fromkeys(DAILY.fields, pl.String()), orient="row"),
        pl.DataFrame(schema=dict.fromkeys(DAILY_BASIC.fields, pl.String())),
        pl.DataFrame(lines, schema=dict.fromkeys(SUSPEND_D.fields, pl.String()), orient="row"),
        pl.DataFrame({"ts_code": ["600000.SH", "600004.SH"], "name": ["浦发银行", "*ST 白云"]}),
    )
    assert joined.without_bar(bars_only).is_empty()
    translated = source.translate_daily(bars_only)
    assert translated.frame.select("ts_code", "is_suspended", "is_st").rows() == [("600000.SH", False, False)]
    assert translated.days is not None
    assert translated.days.to_list() == [day] * 4
    assert [frame.height for _, frame in source.raw_daily(bars_only)] == [1, 0, 3]


def test_a_name_with_st_marks_the_stock(one_sided: Callable[..., TushareSource]) -> None:
    stock = dict.fromkeys(STOCK_BASIC.fields, "x") | {
        "ts_code": "600000.SH", "name": "*ST 浦发", "list_date": "19991110", "list_status": "L", "delist_date": None,
    }  # fmt: skip
    source = one_sided("stock_basic", success(STOCK_BASIC.fields, [list(stock.values())]))
    found = bars(source, source.daily_of_code("600000.SH", DAYS[-3], DAYS[-1]))
    assert found["is_st"].to_list() == [True] * found.height != []


def test_a_value_that_cannot_be_read_points_to_its_row_of_the_answer() -> None:
    day = f"{DAYS[-1]:%Y%m%d}"
    bar = ["10"] * 9
    wrong_bar = ["10", "10", "10", "x", *["10"] * 5]
    basics = [["600004.SH", day, "x", "y", *["1"] * 14], ["600999.SH", day, "1", "z", *["1"] * 14]]
    whole = joined.join_bars(
        pl.DataFrame(
            [["600000.SH", day, *bar], ["600004.SH", day, *wrong_bar]],
            schema=dict.fromkeys(DAILY.fields, pl.String()),
            orient="row",
        ),
        pl.DataFrame(basics, schema=dict.fromkeys(DAILY_BASIC.fields, pl.String()), orient="row"),
        pl.DataFrame(schema=dict.fromkeys(SUSPEND_D.fields, pl.String())),
        pl.DataFrame({"ts_code": ["600000.SH"], "name": ["浦发银行"]}),
    )
    translated = joined.translate_bars(whole)
    row = whole["ts_code"].to_list().index("600004.SH")
    # What `close` of daily_basic says is no column of ours; valuations without a bar are no row of ours.
    assert translated.unreadable == ((row, "close"), (row, "turnover_rate"))
    assert translated.frame["raw_row"].to_list() == [whole["ts_code"].to_list().index("600000.SH"), row]
