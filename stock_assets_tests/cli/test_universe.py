"""The stocks of a day, and a whole life under several codes, on the command line."""

import csv
import io
from datetime import date

import pytest

from stock_assets.domain.tables import SECURITY, STOCK_DAILY
from stock_assets.domain.universe import with_lives_cut
from stock_assets.storage.bulk_load import load
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import LAST, Call
from stock_assets_tests.storage.made_up_rows import bars, securities, security

OLD, NEW, CHANGED_ON, BEFORE = "000022.SZ", "001872.SZ", date(2018, 12, 26), date(2018, 12, 25)


@pytest.fixture
def renumbered(installation: Installation) -> Installation:
    """A store with one stock that changed its code, a bar before and a bar after."""
    began = date(1993, 5, 5)
    told = securities([security(OLD, began, CHANGED_ON, status="delisted"), security(NEW, began, former_codes=OLD)])
    with installation.database.begin() as conn:
        load(conn, SECURITY, with_lives_cut(told, told.clear()))
        load(conn, STOCK_DAILY, bars([OLD], [BEFORE]))
        load(conn, STOCK_DAILY, bars([NEW], [CHANGED_ON]))
    return installation


def test_the_universe_of_a_day_in_two_forms(loaded: Installation, call: Call) -> None:
    said = call("universe", "--date", str(LAST))
    assert said.code == 0
    with loaded.database.read() as conn:
        (listed,) = conn.exec_driver_sql(f"SELECT count(*) FROM universe('{LAST}')").one()  # noqa: S608
    assert f"{listed:,} stocks listed on {LAST}" in said.out
    rows = list(csv.DictReader(io.StringIO(call("universe", "--date", str(LAST), "--format", "csv").out)))
    assert len(rows) == listed
    assert {"ts_code", "is_st", "security_code"} <= set(rows[0])


@pytest.mark.usefixtures("renumbered")
def test_each_day_has_the_code_of_the_day(call: Call) -> None:
    for day, code in ((BEFORE, OLD), (CHANGED_ON, NEW)):
        (row,) = csv.DictReader(io.StringIO(call("universe", "--date", str(day), "--format", "csv").out))
        assert (row["ts_code"], row["security_code"]) == (code, NEW)


@pytest.mark.usefixtures("renumbered")
def test_a_day_before_all_listings_says_what_to_do(call: Call) -> None:
    said = call("universe", "--date", "1991-01-02")
    assert (said.code, said.out) == (0, "")
    assert "load first" in said.err


@pytest.mark.usefixtures("renumbered")
@pytest.mark.parametrize("code", [OLD, NEW])
def test_a_whole_life_goes_over_the_change_of_the_code(call: Call, code: str) -> None:
    week = ("--start", "2018-12-24", "--end", "2018-12-28", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(call("bars", code, *week, "--whole-life").out)))
    assert [(row["trade_date"], row["ts_code"], row["traded_as"]) for row in rows] == [
        (str(BEFORE), NEW, OLD),
        (str(CHANGED_ON), NEW, NEW),
    ]
    assert len(list(csv.DictReader(io.StringIO(call("bars", code, *week).out)))) == 1
