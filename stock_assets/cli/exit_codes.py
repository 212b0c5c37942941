"""Exit codes by class of failure; the numbers are sysexits.h's where it has one."""

from stock_assets.domain.errors import (
    AccessDenied,
    AlreadyRunning,
    BackupFailed,
    Banned,
    ConfigurationError,
    DataRefused,
    InvalidInput,
    NotReady,
    QuotaExhausted,
    RateLimited,
    SlotsTaken,
    SnapshotDamaged,
    SourceError,
    StillMissing,
    StockAssetsError,
    Stopped,
    StoreInUse,
    StoreUnavailable,
    TaskLost,
)

DONE, USAGE, DATA_REFUSED, UNAVAILABLE, TRY_LATER, NO_PERMISSION, CONFIGURATION = 0, 2, 65, 69, 75, 77, 78
INTERNAL, BROKEN_PIPE, INTERRUPTED = 70, 1, 130

# The first class that fits decides.
_CODES: tuple[tuple[type[StockAssetsError], int], ...] = (
    (Stopped, INTERRUPTED),
    (ConfigurationError, CONFIGURATION),
    (InvalidInput, USAGE),
    (DataRefused, DATA_REFUSED),
    (SnapshotDamaged, DATA_REFUSED),
    (StillMissing, DATA_REFUSED),
    (StoreUnavailable, UNAVAILABLE),
    (StoreInUse, TRY_LATER),
    (AlreadyRunning, TRY_LATER),
    (TaskLost, TRY_LATER),
    (BackupFailed, CONFIGURATION),
    (NotReady, TRY_LATER),
    (QuotaExhausted, TRY_LATER),
    (RateLimited, TRY_LATER),
    (SlotsTaken, TRY_LATER),
    (Banned, NO_PERMISSION),
    (AccessDenied, NO_PERMISSION),
    (SourceError, UNAVAILABLE),
)


def exit_code(error: StockAssetsError) -> int:
    """Return the exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)
