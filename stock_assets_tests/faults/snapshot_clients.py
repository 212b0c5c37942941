"""What the processes do that the snapshot tests kill or run against each other; run as a program, a line says what."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stock_assets.storage import ledger, snapshot_files, snapshots
from stock_assets.storage.database import Database
from stock_assets_tests.pipeline.snapshot_workshop import SnapshotWorkshop
from stock_assets_tests.storage.made_up_days import WEEK

STEPS = {
    "file written": (os, "fsync"),
    "file named": (snapshot_files, "_keep_name"),
    "row to be written": (snapshots, "save"),
    "line to be written": (ledger, "write_entry"),
}
"""What a publication is about to call when it is stopped."""


def publish_until(workshop: SnapshotWorkshop, step: str) -> None:
    """Publish the week, and stop before the second call of a step: of the second day."""
    holder, name = STEPS[step]
    real: Callable[..., Any] = getattr(holder, name)
    # A file is brought to disk, and so is the list of names: two calls a day.
    left = [3 if step == "file written" else 2]

    def stopping(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  whatever the step takes
        left[0] -= 1
        if left[0] == 0:
            say("here")
            sys.stdin.readline()
        return real(*arguments, **named)

    setattr(holder, name, stopping)
    workshop.publish()


def publish_for_ever(workshop: SnapshotWorkshop) -> None:
    """Correct bars and publish, again and again."""
    for number in range(100_000):
        workshop.change(
            "UPDATE stock_daily SET close = :close WHERE ts_code = '600000.SH'", close=10 + number % 90 / 100
        )
        workshop.publish()
        if number == 0:
            say("here")


def publish_friday(workshop: SnapshotWorkshop) -> None:
    """Publish one day when a line says so, and say what came of it."""
    say("here")
    sys.stdin.readline()
    say(workshop.publish(WEEK[-1]).days[0].verdict)


def say(word: str) -> None:
    """Say it to the test."""
    print(word, flush=True)  # noqa: T201  the test reads it


def main() -> None:
    """Do what a line says: the store's address, the folder, what, and a step."""
    address, folder, what, step = sys.stdin.readline().rstrip("\n").split("\t")
    workshop = SnapshotWorkshop(Database(address), Path(folder))
    if what == "until":
        publish_until(workshop, step)
    elif what == "for ever":
        publish_for_ever(workshop)
    else:
        publish_friday(workshop)


if __name__ == "__main__":
    main()
