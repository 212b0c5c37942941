"""For people who write Python: the store of this installation, in a shell, a script or a notebook.

>>> from stock_assets.serve import open_store
>>> with open_store() as store:
...     bars = store.bars("600000", start="2026-01-01", adjust="hfq")
"""

from stock_assets.serve.store import Store, open_store, pivot, read_snapshot, to_pandas

__all__ = ["Store", "open_store", "pivot", "read_snapshot", "to_pandas"]
