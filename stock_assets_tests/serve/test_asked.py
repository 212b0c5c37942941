"""The counts of what is asked."""

import json
from pathlib import Path

from stock_assets.serve.asked import AskedStocks
from stock_assets_tests.serve.made_up_loads import Clock


def asked(file: Path, **counts: int) -> AskedStocks:
    stocks = AskedStocks(file)
    for code, count in counts.items():
        for _ in range(count):
            stocks.note(code)
    return stocks


def test_processes_add_to_the_same_counts(tmp_path: Path) -> None:
    file = tmp_path / "state" / "asked.json"
    first, second = asked(file, a=3, b=1), asked(file, b=4)
    first.save()
    second.save()
    first.save()
    assert json.loads(file.read_text()) == {"b": 5, "a": 3}
    assert asked(file).most_asked(1) == ["b"]
    assert [path.name for path in file.parent.iterdir()] == ["asked.json"]


def test_counts_are_saved_once_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    stocks = AskedStocks(tmp_path / "asked.json", clock=clock)
    stocks.note("a")
    clock.pass_(59)
    stocks.save_when_due()
    assert stocks.most_asked(9) == []
    clock.pass_(1)
    stocks.save_when_due()
    assert stocks.most_asked(9) == ["a"]


def test_a_thousand_stocks_are_kept_and_what_nobody_asks_any_more_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "asked.json"
    asked(file, **{f"s{number}": 1 + number % 2 for number in range(1500)}).save()
    kept = json.loads(file.read_text())
    assert len(kept) == 1000
    assert sum(kept.values()) == 1750
    file.write_text(json.dumps({"old": 7, "hot": 150_000}))
    asked(file, hot=1).save()
    assert json.loads(file.read_text()) == {"old": 3, "hot": 75_000}


def test_a_file_that_cannot_be_read_or_written_is_done_without(tmp_path: Path) -> None:
    file = tmp_path / "asked.json"
    for text in ("{", "[]", '{"a": "many"}', "null"):
        file.write_text(text)
        assert asked(file).most_asked(5) == []
    asked(file, a=1).save()
    assert json.loads(file.read_text()) == {"a": 1}
    asked(file / "below a file", a=1).save()
