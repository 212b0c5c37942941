"""The files of the repository, as the house tests look at them."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".pth", ".example", ".ini", ".mako", ""}
_NOT_OURS = {
    ".git",
    ".venv",
    ".hypothesis",
    ".pytest_cache",
    ".ruff_cache",
    ".import_linter_cache",
    "__pycache__",
    "dist",
    "node_modules",
}


def text_files() -> Iterator[Path]:
    """Yield every text file that is, or is about to be, in the repository; the lock file excepted."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if path.is_file() and path.suffix in TEXT and not _NOT_OURS.intersection(parts) and path.name != ".env":
            yield path


def documents() -> Iterator[Path]:
    """Yield every page written for people."""
    return (path for path in text_files() if path.suffix == ".md")
