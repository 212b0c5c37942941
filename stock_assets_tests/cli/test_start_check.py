"""What `up` looks at when it starts: said at once, in one line of the log when it is over, and never in its way."""

from datetime import date

import pytest
from structlog.testing import capture_logs

from stock_assets.cli import start_check
from stock_assets.cli.session import Session
from stock_assets.cli.start_check import StartCheck
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.wiring import Installation
from stock_assets_tests.assets.test_repairs import delete, load

FIRST, LAST = date(2026, 11, 9), date(2026, 11, 19)


def session_of(installation: Installation) -> Session:
    """Return a command line's session with this installation."""
    session = Session()
    session.__dict__["installation"] = installation
    return session


def test_it_counts_the_days_that_lack_something_and_those_that_were_repaired(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    days = installation.calendar.between(FIRST, LAST)
    load(installation, days)
    delete(installation, "stock_daily WHERE trade_date = ANY(:days)", days=[days[2], days[4]])
    monkeypatch.setattr(start_check, "_LOOK_AGAIN_SECONDS", 0.2)
    with capture_logs() as lines:
        check = StartCheck(session_of(installation))
        check.begin()
        while "lack something" not in capsys.readouterr().err:
            check.wait(0.05)
        ingest_days(installation.pipeline(), days)
        check.wait(20)
    line = next(line for line in lines if line["event"] == "integrity.check")
    assert (line["first"], line["last"]) == (days[0], days[-1])
    assert (line["missing_days"], line["repaired_days"]) == (2, 2)
    assert line["check_seconds"] < 10


def test_days_that_stay_missing_count_as_not_repaired(installation: Installation) -> None:
    days = installation.calendar.between(FIRST, LAST)
    load(installation, days)
    delete(installation, "stock_daily WHERE trade_date = :day", day=days[2])
    with capture_logs() as lines:
        check = StartCheck(session_of(installation))
        check.begin()
        check.end()
    line = next(line for line in lines if line["event"] == "integrity.check")
    assert (line["missing_days"], line["repaired_days"]) == (1, 0)


def test_a_store_that_is_not_there_never_stops_up(no_store: None, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001  its settings
    with capture_logs() as lines:
        check = StartCheck(session_of(Installation()))
        check.begin()
        check.end()
    assert [line["event"] for line in lines] == ["integrity.check"]
    assert "was not finished" in capsys.readouterr().err
