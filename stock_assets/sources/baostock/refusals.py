"""What BaoStock's error codes mean for a caller: which error of ours, and so whether to try again.

The codes are the package's `common/contants.py` and what users have reported; what follows from an error, such as how
long a ban lasts, belongs to the client.
"""

from typing import Final

from stock_assets.domain.errors import (
    AccessDenied,
    AnswerBroken,
    Banned,
    RequestRefused,
    SessionExpired,
    SlotsTaken,
    SourceError,
    SourceUnavailable,
)
from stock_assets.sources.baostock.frames import SOURCE

_NOT_LOGGED_IN: Final = "10001001"
_TOO_MANY_LOGINS: Final = "10001005"
_BLACKLISTED: Final = "10001011"
# Parsing failed, decompressing failed, unknown client error, array out of bounds, and the server's own system error:
# the same request may well pass on a new connection.
_PASSING: Final = frozenset({"10004001", "10004002", "10004003", "10004004", "10005001"})


def error_for(code: str, text: str, *, api: str) -> SourceError:  # noqa: PLR0911 - a table with conditions
    """Return the error that an answer with this `code` is.

    `Banned` has no `until` yet: how long it lasts depends on the bans before it.
    """
    reason = f"{code} {text}".strip()
    if code == _NOT_LOGGED_IN:
        return SessionExpired(source=SOURCE, api=api, reason=reason)
    if code == _BLACKLISTED:
        return Banned(source=SOURCE, api=api, reason=reason, until=None)
    if code == _TOO_MANY_LOGINS:
        # Not a matter of rights: another process or machine holds the account's sessions, and ends some day.
        return SlotsTaken(source=SOURCE, api=api, reason=reason, limit="allowed", waited_seconds=0)
    if code in _PASSING or code.startswith("10002"):
        return SourceUnavailable(source=SOURCE, api=api, reason=reason)
    # 10001015 and other newcomers of this family have to do with the account or its key.
    if code.startswith("10001"):
        return AccessDenied(source=SOURCE, api=api, reason=reason)
    if code.startswith("10004"):
        return RequestRefused(source=SOURCE, api=api, reason=reason)
    return AnswerBroken(source=SOURCE, api=api, reason=f"unknown error code {reason}")
