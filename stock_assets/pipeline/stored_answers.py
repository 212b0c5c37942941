"""Two sources compared on what each of them last said, read back from the raw tables and translated again."""

from collections.abc import Collection
from datetime import date

from stock_assets.domain.tables import RAW_BAOSTOCK_DAILY, RAW_TUSHARE_DAILY
from stock_assets.quality.reconciliation import Reconciliation, reconcile
from stock_assets.sources.baostock import translate as baostock
from stock_assets.sources.tushare import translate as tushare
from stock_assets.storage.database import Connection
from stock_assets.storage.raw import newest_answers

_NAMES = ("baostock", "tushare")


def reconcile_stored(conn: Connection, days: Collection[date]) -> Reconciliation:
    """Return the verdict on BaoStock's and Tushare's bars of days that both were asked for whole.

    Shanghai and Shenzhen alone: BaoStock has no stock of Beijing's. Tushare writes no row for a suspended stock, which
    counts as told in another way. Cells that cannot be read are null, and real differences.
    """
    ours = baostock.translate_daily(newest_answers(conn, RAW_BAOSTOCK_DAILY, days)).frame
    theirs = tushare.translate_daily(newest_answers(conn, RAW_TUSHARE_DAILY, days)).frame
    parts = [frame.drop_nulls(["ts_code", "trade_date"]) for frame in (ours, theirs)]
    return reconcile(parts[0], parts[1], names=_NAMES, exchanges=("SH", "SZ"))
