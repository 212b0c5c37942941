"""What Tushare's refusals mean for a caller: which error of ours, and so what to do.

One code stands for different things (40203 is "too often" as well as "not allowed"), so the text decides, in this order:
rate before permission, because the text of a rate refusal ends in the word for permission.
"""

import re
from typing import Final

from stock_assets.domain.errors import (
    AccessDenied,
    AnswerBroken,
    PointsMissing,
    RateLimited,
    RequestRefused,
    SourceError,
    TokenRefused,
    TooManyAddresses,
)
from stock_assets.domain.pace import RefusalKind
from stock_assets.sources.tushare.transport import SOURCE

_RATE: Final = re.compile(r"频率超限|每分钟最多|每小时最多|每天最多")
_DAY: Final = re.compile(r"每天最多|次\s*/\s*[天日]")
_HOUR: Final = re.compile(r"每小时最多|次\s*/\s*小时")
_ALLOWED: Final = re.compile(r"(\d{1,9})\s*次")
_PERMISSION: Final = re.compile(r"没有接口|权限|积分")
_TOKEN: Final = re.compile(r"token不对|上传Token", re.IGNORECASE)
_ADDRESSES: Final = re.compile(r"IP数量超限")
_KINDS: Final[dict[str, RefusalKind]] = {"minute": "minute", "hour": "hour", "day": "day"}
_PARAMETERS: Final = re.compile(r"必填参数|接口名|列表个数")


def error_for(code: str, text: str, *, api: str) -> SourceError:
    """Return the error that an answer with this `code` and `text` is; the code stays in its facts."""
    # The full stop is the sentence's in which the reason stands.
    reason = f"{code} {text}".strip().rstrip("。")
    facts = {"source": SOURCE, "api": api, "code": code, "reason": reason}
    if _RATE.search(text):
        period = "day" if _DAY.search(text) else "hour" if _HOUR.search(text) else "minute"
        allowed = _ALLOWED.search(text)
        return RateLimited(**facts, period=period, allowed=int(allowed[1]) if allowed else None)
    if _PERMISSION.search(text):
        return PointsMissing(**facts)
    if _TOKEN.search(text):
        return TokenRefused(**facts)
    if _ADDRESSES.search(text):
        return TooManyAddresses(**facts)
    if _PARAMETERS.search(text):
        return RequestRefused(**facts)
    return AnswerBroken(**{**facts, "reason": f"an unknown refusal: {reason}"})


def kind_of(error: Exception) -> RefusalKind | None:
    """Return what a limiter is told of a call that ended with `error`, None where that says nothing about the pace."""
    if isinstance(error, PointsMissing):
        return "permission"
    if isinstance(error, AccessDenied | RequestRefused):
        return None
    period = error.facts.get("period") if isinstance(error, RateLimited) else None
    return _KINDS.get(str(period), "other")


def allowed_calls(error: Exception) -> int | None:
    """Return how many calls a period the source says it allows, where it says so."""
    allowed = error.facts.get("allowed") if isinstance(error, RateLimited) else None
    return allowed if isinstance(allowed, int) else None
