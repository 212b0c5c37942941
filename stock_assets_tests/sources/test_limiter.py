"""The pace that a person asked for."""

from datetime import UTC, datetime

from stock_assets.sources.limiter import PacedLedger


class Books:
    """A ledger that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def before_request(self, source: str, api: str) -> None:
        self.told.append(("request", source, api))

    def record_refusal(self, source: str, api: str) -> None:
        self.told.append(("refusal", source, api))

    def record_ban(self, source: str, until: datetime) -> None:
        self.told.append(("ban", source, until))

    def bans_this_year(self, source: str) -> int:
        return len(source)


def test_requests_pass_no_faster_than_asked_and_are_counted_when_they_pass() -> None:
    now = 100.0
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds

    books = Books()
    paced = PacedLedger(books, per_minute=30, sleep=sleep, clock=lambda: now)
    for _ in range(4):
        paced.before_request("baostock", "login")
    assert waits == [2.0, 2.0, 2.0]
    assert len(books.told) == 4
    now += 60
    paced.before_request("baostock", "login")
    assert len(waits) == 3


def test_refusals_and_bans_reach_the_ledger_behind() -> None:
    books = Books()
    paced = PacedLedger(books, per_minute=1)
    until = datetime(2026, 1, 1, tzinfo=UTC)
    paced.record_refusal("baostock", "login")
    paced.record_ban("baostock", until)
    assert books.told == [("refusal", "baostock", "login"), ("ban", "baostock", until)]
    assert paced.bans_this_year("abc") == 3
