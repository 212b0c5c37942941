"""What people read is true: generated pages are current, links lead somewhere, nothing speaks of one machine."""

import re
from pathlib import Path

import pytest

from stock_assets.ops.reference_docs import reference_pages
from stock_assets.settings import knobs
from stock_assets_tests.house.repository import ROOT, documents, text_files

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# The brackets keep this file, which is searched as well, from being found.
MACHINE = re.compile(r"/[r]oot/|/[h]ome/[a-z]|/[w]ork/|/[U]sers/[a-z]|[A-Z]:\\[U]sers")
REGISTRY = re.compile(r"[p]ypi\.org|python[h]osted\.org|/pypi/[s]imple|[t]singhua\.edu")
PAGES = [
    "first-steps",
    "reading",
    "finance",
    "indicators",
    "architecture",
    "tables",
    "settings",
    "troubleshooting",
    "performance",
    "maintenance",
]


@pytest.mark.parametrize("path", reference_pages(), ids=str)
def test_a_generated_page_is_what_the_code_says(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == reference_pages()[path]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_exists_and_begins_in_chinese(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert re.match(r"# .*[\u4e00-\u9fff]", text)


def test_every_relative_link_leads_to_a_file() -> None:
    broken = [
        f"{path.relative_to(ROOT)} -> {target}"
        for path in documents()
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if "://" not in target and not target.startswith(("#", "mailto:"))
        if not (path.parent / target.partition("#")[0]).exists()
    ]
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page for page in PAGES if f"docs/{page}.md" not in readme] == []


def test_every_setting_that_a_document_names_exists() -> None:
    names = ("DATABASE_URL", "TIMESCALE_URL", "KILLS", "MATRIX", "ORDERS", "STEPS")
    of_tests = {f"STOCK_ASSETS_TEST_{name}" for name in names}
    known = {knob.env for knob in knobs()} | of_tests
    name = re.compile(r"\b(?:STOCK_ASSETS|BAOSTOCK|DAILY_SYNC|DB|LOG|SIMULATED)_[A-Z_]+\b")
    named = {(path.name, word) for path in documents() for word in name.findall(path.read_text(encoding="utf-8"))}
    assert {(page, word) for page, word in named if word not in known} == set()


@pytest.mark.parametrize(
    ("pattern", "what"),
    [(MACHINE, "a machine's path"), (REGISTRY, "a registry's host")],
    ids=["a machine's path", "a registry's host"],
)
def test_no_text_names(pattern: re.Pattern[str], what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number} {what}: {line.strip()[:80]}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []
