"""The real server's own bytes, captured in April 2026, played back to sessions and the client."""

from __future__ import annotations

import inspect
from datetime import date
from typing import TYPE_CHECKING

import pytest

from stock_assets.domain.answers import Answer, Rows
from stock_assets.domain.errors import AnswerBroken
from stock_assets.sources.baostock.private_copy import PrivateCopy, function_of
from stock_assets_tests.sources.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from stock_assets.sources.baostock.client import BaoStockClient
    from stock_assets.sources.baostock.session import BaoStockSession

# The rest of the captured methods is not among the package's public functions.
CAPTURES = (
    "query_trade_dates", "query_all_stock", "query_stock_basic", "query_adjust_factor", "query_history_k_data_plus",
    "query_history_k_data_plus_5min", "query_history_k_data_plus_60min", "query_dividend_data", "query_profit_data",
    "query_operation_data", "query_growth_data", "query_dupont_data", "query_balance_data", "query_cash_flow_data",
    "query_performance_express_report", "query_forecast_report", "query_stock_industry", "query_hs300_stocks",
    "query_sz50_stocks", "query_zz500_stocks", "query_deposit_rate_data", "query_loan_rate_data",
    "query_required_reserve_ratio_data", "query_money_supply_data_month", "query_money_supply_data_year",
)  # fmt: skip


@pytest.fixture(scope="module")
def frames(recorded_data: Path) -> Path:
    """The folder of captured frames."""
    return recorded_data / "baostock_frames"


def far_end_of(frames: Path, *captures: str) -> tuple[ScriptedServer, list[list[str]]]:
    """Return a server that plays the captured answers, and the bodies of the captured requests."""
    script = {name: (frames / name / "response.bin").read_bytes() for name in ("login", "logout")}
    bodies: list[list[str]] = []
    for capture in captures:
        body = (frames / capture / "request.bin").read_bytes()[21:].decode().split("\x01")[:-1]
        bodies.append(body)
        script[body[0]] = (frames / capture / "response.bin").read_bytes()
    return ScriptedServer(script), bodies


def recorded_count(frames: Path, capture: str) -> int:
    lines = (frames / capture / "meta.txt").read_text(encoding="utf-8").splitlines()
    return int(next(line.removeprefix("rows=") for line in lines if line.startswith("rows=")))


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_captured_answer_passes_every_check(
    frames: Path, open_session: Callable[..., BaoStockSession], capture: str
) -> None:
    far_end, (body,) = far_end_of(frames, capture)
    with far_end:
        names = list(inspect.signature(function_of(PrivateCopy(), body[0])).parameters)
        reply = open_session(far_end).call(body[0], **dict(zip(names, body[4:], strict=True)))
        assert reply.lost is None
        assert len(reply.rows) == recorded_count(frames, capture)
        assert all(len(row) == len(reply.fields) for row in reply.rows)


@pytest.mark.parametrize("capture", ["query_trade_dates", "query_history_k_data_plus"])
@pytest.mark.parametrize("place", [25, 60, 120, 250])
def test_a_captured_answer_with_one_changed_byte_passes_none(
    frames: Path, open_session: Callable[..., BaoStockSession], capture: str, place: int
) -> None:
    far_end, (body,) = far_end_of(frames, capture)
    data = (frames / capture / "response.bin").read_bytes()
    far_end.script[body[0]] = data[:place] + bytes([data[place] ^ 0x01]) + data[place + 1 :]
    with far_end:
        names = list(inspect.signature(function_of(PrivateCopy(), body[0])).parameters)
        session = open_session(far_end)
        with pytest.raises(AnswerBroken):
            session.call(body[0], **dict(zip(names, body[4:], strict=True)))


def test_captured_answers_become_rows_of_the_client(frames: Path, client_of: Callable[..., BaoStockClient]) -> None:
    far_end, _ = far_end_of(frames, "query_trade_dates", "query_all_stock", "query_adjust_factor")
    with far_end:
        client = client_of(far_end)
        calendar = rows_of(client.trade_dates(date(2024, 1, 1), date(2024, 1, 10)))
        assert client.translate_trade_dates(calendar).row(1) == (date(2024, 1, 2), True)
        assert client.translate_trade_dates(calendar)["is_open"].sum() == 7
        assert rows_of(client.all_securities_of_day(date(2024, 1, 2))).height == 5638
        factors = rows_of(client.factors_of_code("600000.SH", date(2023, 1, 1), date(2023, 12, 31)))
        assert client.translate_factors(factors).frame.rows() == [("600000.SH", date(2023, 7, 21), 11.949786, 0)]


def rows_of(answer: Answer) -> pl.DataFrame:
    assert isinstance(answer, Rows), answer
    return answer.frame
