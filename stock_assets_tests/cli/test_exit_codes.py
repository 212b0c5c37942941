"""How a failing command ends: the code of its class of failure, one sentence on stderr, no traceback, no secret."""

from collections.abc import Callable

import pytest

from stock_assets.cli import exit_codes, load
from stock_assets.domain import errors
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import StockAssetsError
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import Call, Said

BARS = "query_daily_history_k_AStock"
SECRETS = ("pa55-of-keeper", "key-of-mine")


def last_line(said: Said) -> str:
    """Return the sentence: what stands last on stderr."""
    assert "Traceback" not in said.everything
    return said.err.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.usefixtures("installation")
def test_a_night_that_went_well_ends_with_0(call: Call) -> None:
    said = call("nightly")
    assert said.code == 0, said.err
    assert said.out.startswith("1 of 1 trading days complete")


@pytest.mark.usefixtures("installation")
def test_a_half_published_newest_day_ends_with_75_and_says_how_much_came_and_when_to_try(
    far_end: BaoStockServer, call: Call
) -> None:
    far_end.faults = f"half_published:{BARS}"
    said = call("nightly")
    assert said.code == 75
    assert "expected stocks came" in last_line(said)
    assert "try again after 2026-11-20 22:30" in last_line(said)


@pytest.mark.usefixtures("installation")
def test_a_half_published_older_day_is_refused_with_65_and_says_how_much_came(
    far_end: BaoStockServer, call: Call
) -> None:
    far_end.faults = f"half_published:{BARS}"
    said = call("nightly", "--date", "2026-11-19")
    assert said.code == 65
    assert "rows expected" in last_line(said)
    assert "repeat the command later" in last_line(said)


@pytest.mark.usefixtures("installation", "retries_at_once")
def test_a_source_that_is_down_ends_with_69(far_end: BaoStockServer, call: Call) -> None:
    far_end.close()
    said = call("nightly")
    assert said.code == 69
    assert last_line(said).startswith("source baostock is unavailable")


@pytest.mark.usefixtures("installation")
def test_a_day_before_its_publication_ends_with_75_and_names_the_time(call: Call) -> None:
    said = call("nightly", "--date", "2026-11-23")
    assert said.code == 75
    assert "2026-11-23 18:00" in last_line(said)


def test_a_used_up_quota_ends_with_75_and_is_not_exceeded(
    new_installation: Callable[..., Installation], far_end: BaoStockServer, call: Call
) -> None:
    new_installation(BAOSTOCK_HOST=far_end.host, BAOSTOCK_PORT=str(far_end.port), BAOSTOCK_DAILY_QUOTA="1")
    said = call("nightly")
    assert said.code == 75
    assert "1 requests to source baostock are used up" in last_line(said)
    assert far_end.requests.total() <= 1


def test_taken_slots_end_with_75(
    new_installation: Callable[..., Installation], far_end: BaoStockServer, call: Call
) -> None:
    installation = new_installation(BAOSTOCK_HOST=far_end.host, BAOSTOCK_PORT=str(far_end.port), BAOSTOCK_TIMEOUT="0.1")
    with installation.slots.take("baostock", timeout_seconds=5):
        said = call("nightly")
    assert said.code == 75
    assert far_end.requests.total() == 0


def test_a_ban_ends_with_77_names_its_end_and_lets_nothing_leave(
    installation: Installation, far_end: BaoStockServer, call: Call
) -> None:
    far_end.ban()
    first = call("nightly")
    assert first.code == 77
    sent = far_end.requests.total()
    second = call("nightly")
    assert (second.code, far_end.requests.total()) == (77, sent)
    uses = installation.quota.usage("baostock", installation.now().astimezone(SHANGHAI).date())
    until = max(use.banned_until for use in uses if use.banned_until is not None)
    named = f"{until.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    assert named in last_line(second)
    assert named in call("status").out
    doctor = call("doctor")
    assert doctor.code == 77
    assert named in doctor.out
    assert far_end.requests.total() == sent


def test_a_wrong_setting_ends_with_78_and_names_it(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAOSTOCK_PORT", "abc")
    said = call("status")
    assert (said.code, said.out) == (78, "")
    assert last_line(said).startswith("setting BAOSTOCK_PORT is wrong")


def test_a_data_folder_that_cannot_be_made_ends_with_78(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCK_ASSETS_HOME", "/dev/null/home")
    said = call("status")
    assert said.code == 78
    assert len(said.err.splitlines()) == 1
    assert "STOCK_ASSETS_HOME" in said.err


@pytest.mark.parametrize("arguments", [["status"], ["nightly"], ["--debug", "status"], ["doctor"], ["db", "current"]])
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.usefixtures("no_store")
def test_an_unreachable_database_ends_with_69_and_shows_no_secret(
    call: Call, monkeypatch: pytest.MonkeyPatch, arguments: list[str], language: str
) -> None:
    monkeypatch.setenv("BAOSTOCK_API_KEY", "key-of-mine")
    monkeypatch.setenv("STOCK_ASSETS_LANGUAGE", language)
    said = call(*arguments)
    assert said.code == 69
    assert [secret for secret in SECRETS if secret in said.everything] == []
    assert ("Traceback" in said.err) == ("--debug" in arguments)
    if "doctor" not in arguments:
        assert ("数据库不可用" if language == "zh" else "the database cannot be reached") in said.err.splitlines()[-1]


def test_no_command_shows_the_key(
    new_installation: Callable[..., Installation], far_end: BaoStockServer, call: Call
) -> None:
    new_installation(
        BAOSTOCK_HOST=far_end.host, BAOSTOCK_PORT=str(far_end.port), BAOSTOCK_API_KEY="key-of-mine", LOG_LEVEL="DEBUG"
    )
    far_end.faults = f"error:{BARS}"
    for arguments in (["--debug", "nightly"], ["status"], ["doctor"], ["plan", "nightly"]):
        assert "key-of-mine" not in call(*arguments).everything


@pytest.mark.usefixtures("installation")
def test_a_mistake_of_ours_is_a_sentence_with_70_and_a_traceback_when_debugging(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("key-of-mine")

    monkeypatch.setenv("BAOSTOCK_API_KEY", "key-of-mine")
    monkeypatch.setattr(load, "check_days", broken)
    said = call("nightly")
    assert said.code == 70
    assert len(said.err.splitlines()) == 1
    assert "KeyError: '***'" in said.err
    assert "Traceback" in call("--debug", "nightly").err


@pytest.mark.usefixtures("installation", "retries_at_once")
def test_a_mistake_of_ours_inside_a_run_is_not_called_refused_data(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr("stock_assets.pipeline.daily_work.fill_gaps", broken)
    said = call("--debug", "nightly")
    assert said.code == 70
    assert "in broken" in said.err
    assert said.err.splitlines()[-1].startswith("the run failed (ZeroDivisionError: a mistake)")


def test_every_error_has_a_code_that_is_documented() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StockAssetsError)]
    assert len(kinds) > 10
    documented = {2, 65, 69, 75, 77, 78, 130}
    abstract = {StockAssetsError}
    assert {exit_codes.exit_code(kind()) for kind in kinds if kind not in abstract} == documented
