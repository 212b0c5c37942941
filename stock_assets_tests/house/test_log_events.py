"""Every event that the code logs has a name in both languages."""

import ast
from collections.abc import Iterator
from pathlib import Path

from stock_assets.logs.words import EVENTS
from stock_assets_tests.house.repository import ROOT

VERBS = {"debug", "info", "warning", "error", "exception"}


def events_of(path: Path) -> Iterator[str]:
    """Yield the constant event keys of `unit(...)` and `log.<level>(...)` calls."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        is_unit = isinstance(node.func, ast.Name) and node.func.id == "unit"
        is_log = (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in VERBS
            and ("log" in ast.unparse(node.func.value).casefold())
            and "context" not in ast.unparse(node.func.value)
        )
        first = node.args[0]
        if (is_unit or is_log) and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def test_every_logged_event_is_in_the_catalogue() -> None:
    found = {key for path in (ROOT / "stock_assets").rglob("*.py") for key in events_of(path)}
    assert "log.file_unavailable" in found
    assert sorted(found - EVENTS.keys()) == []
