"""What README and docs show does work: every example runs, on one small store of a simulated market.

What cannot run here is named with its reason; an example that is neither run nor named fails.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
import sqlalchemy as sa

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.snapshot import publish_snapshots
from stock_assets.serve import open_store
from stock_assets.settings import Settings
from stock_assets.storage.export import export_table
from stock_assets.storage.selection import Selection
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import Call
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.house.repository import ROOT
from stock_assets_tests.quality.made_up_reports import QUARTER, report
from stock_assets_tests.storage.test_finance import hear

PAGES = ("README.md", "docs/first-steps.md", "docs/reading.md", "docs/finance.md", "docs/snapshots.md")
COMMAND = "uv run stock-assets "
# By how the line begins.
NOT_RUN = {
    "python3 scripts/demo.py": "takes a minute; stock_assets_tests/scripts shows that it sets everything up",
    "python3 scripts/test.py": "runs this test",
    f"{COMMAND}up": "stays until it is stopped",
    f"{COMMAND}history daily": "loads years; test_load.py runs it on some days",
    f"{COMMAND}history finance": "loads years; stock_assets_tests/pipeline/test_finance_history.py runs it",
    f"{COMMAND}db backup": "needs PostgreSQL's own programs; stock_assets_tests/storage/test_backup.py runs it",
}
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LOADED = (date(2026, 5, 6), date(2026, 11, 20))


@dataclass(frozen=True, slots=True)
class Example:
    """A line of a shell, or a whole block in another language."""

    page: str
    language: str
    text: str

    @property
    def reason(self) -> str | None:
        """Why it is not run here, if it is not."""
        return next((why for begins, why in NOT_RUN.items() if self.text.startswith(begins)), None)


def examples() -> Iterator[Example]:
    """Yield every example of the pages, each once."""
    for page in PAGES:
        for language, block in _BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
            if language:
                yield Example(page, language, block)
                continue
            yield from (
                Example(page, "", line.partition("#")[0].strip()) for line in block.splitlines() if line.strip()
            )


EXAMPLES = list(dict.fromkeys(examples()))


def of(language: str) -> list[Example]:
    """Return the examples in a language that are run."""
    return [example for example in EXAMPLES if example.language == language and example.reason is None]


def names(cases: list[Example]) -> list[str]:
    """Return names for a report."""
    return [f"{case.page}: {case.text.splitlines()[0]}" for case in cases]


@pytest.fixture(scope="module")
def surroundings(
    server: Server, migrated_template: str, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The environment of an installation whose small store holds half a year, and the folder in which one works."""
    folder = tmp_path_factory.mktemp("examples")
    with own_database(server, migrated_template) as url, pytest.MonkeyPatch.context() as patch:
        environment = {
            "STOCK_ASSETS_HOME": str(home),
            "STOCK_ASSETS_DATABASE_URL": url,
            "STOCK_ASSETS_SOURCE": "simulated",
            "SIMULATED_STOCKS": "8",
            "STOCK_ASSETS_TODAY": "2026-11-20",
            "STOCK_ASSETS_LANGUAGE": "en",
            "LOG_LEVEL": "ERROR",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        with Installation(Settings()) as installation:
            days = installation.calendar.between(*_LOADED)
            assert ingest_days(installation.pipeline(), days).failure() is None
            assert ingest_factors(installation.pipeline(), days).failure() is None
            assert compute_technicals(installation.technicals(), days).failure() is None
            week = publish_snapshots(installation.snapshots(), days[-15:], installation.snapshot_folder)
            assert week.failure() is None
            with installation.database.begin() as conn:
                known = [report(date(2024, 3, 28), roe=8.9), report(date(2024, 4, 26), end=QUARTER, roe=2.1)]
                hear(conn, *known, report(date(2024, 3, 28), code="000001.SZ", roe=10.4), on=date(2024, 4, 27))
            export_table(installation.reader(), Selection(STOCK_DAILY), folder / "data")
        yield {**environment, "PWD": str(folder)}


@pytest.fixture(autouse=True)
def _inside(surroundings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]  pytest's
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(surroundings["PWD"])


def test_every_example_is_run_or_named_with_its_reason() -> None:
    strange = [
        example
        for example in EXAMPLES
        if example.language not in {"python", "sql"}
        and example.reason is None
        and not (example.language == "" and example.text.startswith(COMMAND))
    ]
    assert strange == []
    assert {len(of("")) > 15, len(of("python")) > 3, len(of("sql")) > 1} == {True}
    used = {begins for begins in NOT_RUN for example in EXAMPLES if example.text.startswith(begins)}
    assert used == set(NOT_RUN)


@pytest.mark.parametrize("example", of(""), ids=names(of("")))
def test_a_command_ends_well_and_says_something(call: Call, example: Example) -> None:
    said = call(*shlex.split(example.text.removeprefix(COMMAND)))
    assert said.code == 0, said.everything
    assert said.everything.strip()


@pytest.mark.parametrize("example", of("python"), ids=names(of("python")))
def test_python_runs_and_finds_rows(example: Example) -> None:
    if "duckdb" in example.text:
        # In a process of its own: at this one's end it would complain of leaks.
        code = f"import duckdb, pandas, polars\n{example.text}"
        subprocess.run([sys.executable, "-c", code], check=True)
        return
    with open_store() as store:
        found: dict[str, object] = {"store": store}
        exec(example.text, found)  # noqa: S102  it is what people are told to type
    frames = [value for value in found.values() if isinstance(value, pl.DataFrame | pd.DataFrame)]
    assert all(len(frame) for frame in frames)
    assert frames or "open_store" not in example.text


@pytest.mark.parametrize("example", of("sql"), ids=names(of("sql")))
def test_sql_runs(example: Example) -> None:
    statements = [part.strip() for part in re.sub(r"--.*", "", example.text).split(";") if part.strip()]
    with Installation(Settings()) as installation, installation.database.engine.connect() as conn:
        # Whom the reader's rights are granted to is a user of one's own; all of it is taken back.
        conn.execute(sa.text("CREATE ROLE alice"))
        results = [conn.execute(sa.text(statement)) for statement in statements]
        # A moment before the store was loaded has no rows.
        assert any(result.returns_rows and result.all() for result in results)
        conn.rollback()
