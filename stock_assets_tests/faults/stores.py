"""Data folders with a server of their own, which live longer than one test."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from stock_assets.domain.errors import StockAssetsError
from stock_assets.storage.embedded import EmbeddedServer


def new_home() -> Path:
    """Return a data folder; not under pytest's own, which is closed to the account that runs the server as root."""
    return Path(tempfile.mkdtemp(prefix="stock-assets-tests-"))


def remove_home(home: Path) -> None:
    """Stop the server of a data folder and delete it."""
    with suppress(StockAssetsError):
        EmbeddedServer(home).stop()
    shutil.rmtree(home, ignore_errors=True)
