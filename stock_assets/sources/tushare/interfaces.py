"""The interfaces we call: their columns, all named, and the number of rows at which an answer is cut off.

Caps as measured on the live service in 2026; an interface without one was never met at its cap.
"""

from dataclasses import dataclass
from typing import Final

from stock_assets.domain.finance_fields import FINANCE_FIELDS


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface; `key` tells its rows apart, where `is_unique` no two rows share it.

    `cap` is None where none is known: then only the answer itself says that it is not whole.
    """

    name: str
    fields: tuple[str, ...]
    key: tuple[str, ...]
    cap: int | None = None
    is_unique: bool = True


_FINANCE: Final = tuple(field.name for field in FINANCE_FIELDS)
_OF_DAY: Final = ("ts_code", "trade_date")

STOCK_BASIC: Final = Interface(
    "stock_basic",
    (
        "ts_code", "symbol", "name", "area", "industry", "fullname", "enname", "cnspell", "market", "exchange",
        "curr_type", "list_status", "list_date", "delist_date", "is_hs", "act_name", "act_ent_type",
    ),
    ("ts_code",),
)  # fmt: skip
TRADE_CAL: Final = Interface("trade_cal", ("exchange", "cal_date", "is_open", "pretrade_date"), ("cal_date",))
DAILY: Final = Interface(
    "daily",
    (
        "ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "change", "pct_chg", "vol", "amount",
    ),
    _OF_DAY,
    cap=6000,
)  # fmt: skip
ADJ_FACTOR: Final = Interface("adj_factor", (*_OF_DAY, "adj_factor"), _OF_DAY, cap=6000)
DAILY_BASIC: Final = Interface(
    "daily_basic",
    (
        "ts_code", "trade_date", "close", "turnover_rate", "turnover_rate_f", "volume_ratio", "pe", "pe_ttm", "pb", "ps",
        "ps_ttm", "dv_ratio", "dv_ttm", "total_share", "float_share", "free_share", "total_mv", "circ_mv",
    ),
    _OF_DAY,
    cap=6000,
)  # fmt: skip
SUSPEND_D: Final = Interface(
    "suspend_d", (*_OF_DAY, "suspend_timing", "suspend_type"), (*_OF_DAY, "suspend_type"), cap=5000, is_unique=False
)
FINA_INDICATOR: Final = Interface("fina_indicator", _FINANCE, ("ts_code", "end_date"), cap=100, is_unique=False)
FINA_INDICATOR_VIP: Final = Interface(
    "fina_indicator_vip", _FINANCE, ("ts_code", "end_date"), cap=12_000, is_unique=False
)
DISCLOSURE_DATE: Final = Interface(
    "disclosure_date",
    ("ts_code", "ann_date", "end_date", "pre_date", "actual_date", "modify_date"),
    ("ts_code", "end_date"),
    cap=3000,
)
INTERFACES: Final = {
    interface.name: interface
    for interface in (
        STOCK_BASIC,
        TRADE_CAL,
        DAILY,
        ADJ_FACTOR,
        DAILY_BASIC,
        SUSPEND_D,
        FINA_INDICATOR,
        FINA_INDICATOR_VIP,
        DISCLOSURE_DATE,
    )
}
