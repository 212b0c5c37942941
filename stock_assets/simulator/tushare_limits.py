"""What an account may call and how often, and in which words the server refuses: Tushare's texts, its codes.

Minutes, hours and days are the last so many seconds, whatever the position; a call that was refused does not count.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stock_assets.simulator.tushare_base import Service

Period: TypeAlias = Literal["minute", "hour", "day"]
Wording: TypeAlias = Literal["new", "old"]

TOO_OFTEN: Final = 40203
_SECONDS: Final[dict[Period, float]] = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}
_WORDS: Final[dict[Period, str]] = {"minute": "分钟", "hour": "小时", "day": "天"}
_DETAILS: Final = "权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。"
_EVERYTHING: Final = "*"

WRONG_TOKEN: Final = (40101, "您的token不对，请确认。")
NO_TOKEN: Final = (40101, "您上传Token为空，请确认。")
UNKNOWN_INTERFACE: Final = (40101, "请指定正确的接口名")
LIST_TOO_LONG: Final = (50101, "列表个数超过限制1000个")
TOO_MANY_ADDRESSES: Final = (TOO_OFTEN, "您的IP数量超限，最大数量为2个！")

# From so many points on: calls a minute of one interface, calls a day of one interface or of everything.
_TIERS: Final[tuple[tuple[int, int, int | None, bool], ...]] = (
    (0, 2, 2, False),
    (120, 50, 8_000, True),
    (2_000, 200, 100_000, False),
    (5_000, 500, None, False),
)
_OWN_LIMITS: Final = {"stock_basic": 50}


class RefusalError(Exception):
    """The server answers with a code other than 0 and a text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


def too_often(api: str, calls: int, period: Period, wording: Wording) -> RefusalError:
    """Return the refusal of one call more than `calls` in a period, in today's or yesterday's words."""
    if wording == "new":
        text = f"抱歉，您访问接口({api})频率超限({calls}次/{_WORDS[period]})"
    else:
        text = f"抱歉，您每{_WORDS[period]}最多访问该接口{calls}次，{_DETAILS}"
    return RefusalError(TOO_OFTEN, text)


def not_allowed(api: str) -> RefusalError:
    """Return the refusal of an interface that asks for more points."""
    return RefusalError(TOO_OFTEN, f"抱歉，您没有接口({api})访问权限，{_DETAILS}")


def missing(parameter: str) -> RefusalError:
    """Return the refusal of a request without a parameter that must be there."""
    return RefusalError(50101, f"必填参数, {parameter}")


class Account:
    """Counts the calls of one account and refuses what its points do not allow; safe for many threads.

    `limits` names other limits for an interface, as (calls, period); `arrivals` holds the times of all calls that were
    counted, by interface. These and `points` and `wording` may be changed while it is in use.
    """

    def __init__(
        self,
        *,
        points: int,
        wording: Wording,
        limits: Mapping[str, tuple[int, Period]] | None,
        clock: Callable[[], float],
    ) -> None:
        self.points = points
        self.wording: Wording = wording
        self.limits = dict(limits or {})
        self.arrivals: dict[str, list[float]] = {}
        self._clock = clock
        self._lock = threading.Lock()
        self._counted: dict[tuple[str, Period], deque[float]] = {}

    def call(self, service: Service) -> None:
        """Count one call, or raise `RefusalError`."""
        if self.points < service.points:
            raise not_allowed(service.name)
        with self._lock:
            now = self._clock()
            windows: list[deque[float]] = []
            for key, calls, period in self._rules(service.name):
                window = self._counted.setdefault((key, period), deque())
                while window and window[0] <= now - _SECONDS[period]:
                    window.popleft()
                if len(window) >= calls:
                    raise too_often(service.name, calls, period, self.wording)
                windows.append(window)
            for window in windows:
                window.append(now)
            self.arrivals.setdefault(service.name, []).append(now)

    def busiest(self, api: str, period: Period = "minute") -> int:
        """Return the most calls of an interface that were counted in any window of the period."""
        times = sorted(self.arrivals.get(api, ()))
        return max(
            (bisect_right(times, start + _SECONDS[period] - 1e-9) - place for place, start in enumerate(times)),
            default=0,
        )

    def _rules(self, api: str) -> list[tuple[str, int, Period]]:
        if api in self.limits:
            calls, period = self.limits[api]
            return [(api, calls, period)]
        _, a_minute, a_day, is_together = next(tier for tier in reversed(_TIERS) if self.points >= tier[0])
        rules: list[tuple[str, int, Period]] = [(api, min(a_minute, _OWN_LIMITS.get(api, a_minute)), "minute")]
        if a_day is not None:
            rules.append((_EVERYTHING if is_together else api, a_day, "day"))
        return rules
