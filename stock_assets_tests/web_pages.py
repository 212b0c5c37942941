"""Dagster's web server and daemon as `stock-assets up` runs them, asked as their pages ask."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import psutil

Answer = TypeVar("Answer")

_IS_LOADED = (
    "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError { __typename } } } } }"
)
_LAUNCH = """
mutation($assets: [AssetKeyInput!]!, $days: [String!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: $assets, partitionNames: $days}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
_BACKFILL = """
query($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename ... on PartitionBackfill { status numPartitions runs(limit: 500) { id status } error { message } }
  }
}
"""
_CANCEL = "mutation($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename } }"
_START_SECONDS, _STOP_SECONDS, _ASK_SECONDS = 120.0, 60.0, 60.0


@dataclass(frozen=True, slots=True)
class Backfill:
    """How a backfill stands: Dagster's word for it, and the status of each of its runs."""

    status: str
    partitions: int
    runs: tuple[str, ...]
    error: str | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "CANCELED", "FAILED"}


@dataclass(frozen=True, slots=True)
class Pages:
    """What listens at `address`, and the process that keeps it running."""

    address: str
    process: subprocess.Popen[bytes]

    def ask(self, query: str, **variables: object) -> Mapping[str, Any]:
        """Return the answer's `data`; an answer with errors fails."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}/graphql", body, headers)  # noqa: S310  http, to a port of our own
        with urllib.request.urlopen(request, timeout=_ASK_SECONDS) as response:  # noqa: S310  as above
            answer = cast("Mapping[str, Any]", json.load(response))
        assert not answer.get("errors"), answer["errors"]
        return cast("Mapping[str, Any]", answer["data"])

    def launch(self, assets: Collection[str], days: Sequence[str]) -> str:
        """Start a backfill as the button on an asset's page does; return its id."""
        answer = self.ask(_LAUNCH, assets=[{"path": [name]} for name in assets], days=list(days))
        launched = answer["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def backfill(self, backfill_id: str) -> Backfill:
        """Return how a backfill stands."""
        told = self.ask(_BACKFILL, id=backfill_id)["partitionBackfillOrError"]
        error = None if told["error"] is None else str(told["error"]["message"])
        return Backfill(told["status"], int(told["numPartitions"]), tuple(run["status"] for run in told["runs"]), error)

    def cancel(self, backfill_id: str) -> None:
        """Press the button that cancels a backfill."""
        self.ask(_CANCEL, id=backfill_id)

    def family(self) -> list[psutil.Process]:
        """Return the processes behind the pages, the children's children included."""
        return psutil.Process(self.process.pid).children(recursive=True)


def eventually(look: Callable[[], Answer], *, is_enough: Callable[[Answer], bool], seconds: float) -> Answer:
    """Return what `look` sees once it is enough; fails with what was seen last when it never is."""
    deadline = time.monotonic() + seconds
    while not is_enough(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.2)
    return seen


@contextmanager
def running_pages(home: Path, settings: Mapping[str, str], *, options: Sequence[str] = ()) -> Generator[Pages]:
    """Give the pages of an installation on `home` once the code location is loaded; they are stopped at the end."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    inherited = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    environment = {**inherited, "STOCK_ASSETS_HOME": str(home), **settings}
    command = [sys.executable, "-m", "stock_assets.cli.main", "up", "--port", str(port), *options]
    process = subprocess.Popen(command, env=environment)
    try:
        pages = Pages(f"http://127.0.0.1:{port}", process)
        eventually(lambda: _is_loaded(pages), is_enough=bool, seconds=_START_SECONDS)
        yield pages
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_STOP_SECONDS)


def _is_loaded(pages: Pages) -> bool:
    assert pages.process.poll() is None, "it ended by itself"
    with suppress(OSError):
        entries = pages.ask(_IS_LOADED)["workspaceOrError"]["locationEntries"]
        return [(one["loadStatus"], one["locationOrLoadError"]["__typename"]) for one in entries] == [
            ("LOADED", "RepositoryLocation")
        ]
    return False
