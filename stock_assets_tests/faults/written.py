"""How a page made from a failure table gets into the documents: on a store of its own, gone afterwards."""

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog

from stock_assets.storage import migrate
from stock_assets.storage.database import Database
from stock_assets.storage.embedded import EmbeddedServer


def write(path: Path, text_on: Callable[[Database], str]) -> None:
    """Write what `text_on` makes on an empty, migrated store."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    home = Path(tempfile.mkdtemp(prefix="stock-assets-table-"))
    server = EmbeddedServer(home)
    try:
        database = Database(server.ensure_running())
        migrate.upgrade(database)
        path.write_text(text_on(database), encoding="utf-8")
        database.close()
    finally:
        server.release()
        shutil.rmtree(home, ignore_errors=True)
