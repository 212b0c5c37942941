"""The tables of the store: the one list from which database, frames and docs are made."""

from stock_assets.domain.baostock_finance_tables import RAW_BAOSTOCK_FINANCE
from stock_assets.domain.contract import Table
from stock_assets.domain.finance_tables import FINANCE_INDICATOR, FINANCE_PROGRESS, RAW_TUSHARE_FINA_INDICATOR
from stock_assets.domain.gap_tables import ASKED_GAP
from stock_assets.domain.snapshot_tables import CACHE_SNAPSHOT
from stock_assets.domain.tables import (
    ADJUST_FACTOR,
    ADJUST_FACTOR_HISTORY,
    DROPPED_INDEX,
    LOAD_LEDGER,
    QUALITY_FINDING,
    RATE_STATE,
    RAW_BAOSTOCK_ADJUST_FACTOR,
    RAW_BAOSTOCK_DAILY,
    RAW_TUSHARE_ADJ_FACTOR,
    RAW_TUSHARE_DAILY,
    RAW_TUSHARE_DAILY_BASIC,
    RAW_TUSHARE_SUSPEND,
    REJECTED_ROW,
    SECURITY,
    SOURCE_QUOTA,
    STOCK_DAILY,
    STOCK_DAILY_HISTORY,
    SYNC_FAILURE_RECORDS,
    SYNC_TASKS,
    TRADING_DAY,
)
from stock_assets.indicators.table import TECHNICAL_DAILY

TABLES: tuple[Table, ...] = (
    TRADING_DAY,
    SECURITY,
    RAW_BAOSTOCK_DAILY,
    RAW_BAOSTOCK_ADJUST_FACTOR,
    RAW_TUSHARE_DAILY,
    RAW_TUSHARE_ADJ_FACTOR,
    RAW_TUSHARE_DAILY_BASIC,
    RAW_TUSHARE_SUSPEND,
    STOCK_DAILY,
    STOCK_DAILY_HISTORY,
    ADJUST_FACTOR,
    ADJUST_FACTOR_HISTORY,
    TECHNICAL_DAILY,
    RAW_TUSHARE_FINA_INDICATOR,
    *RAW_BAOSTOCK_FINANCE,
    FINANCE_INDICATOR,
    FINANCE_PROGRESS,
    CACHE_SNAPSHOT,
    LOAD_LEDGER,
    REJECTED_ROW,
    QUALITY_FINDING,
    ASKED_GAP,
    SOURCE_QUOTA,
    RATE_STATE,
    SYNC_TASKS,
    SYNC_FAILURE_RECORDS,
    DROPPED_INDEX,
)
