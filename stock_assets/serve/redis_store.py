"""A Redis, or any server of its protocol, behind the cache: what one process loaded spares the others the load.

It holds bytes of frames for as long as they are fresh, under names that say which state of which store they are of: after a
change of the store nobody asks for the old ones, and Redis drops them in time. Redis may be down, slow or full: then the
store itself is read.
"""

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, cast

import structlog

from stock_assets.domain.errors import ConfigurationError

_log = structlog.get_logger(__name__)
# A new form of the bytes gets a new number.
_FORM = 1
_TIMEOUT_SECONDS = 0.5
_AGAIN_AFTER_SECONDS = 30.0


class Packing(Protocol):
    """How values of one kind become bytes and come back the same."""

    def pack(self, value: Any) -> bytes:  # noqa: ANN401  any kind of value
        """Return the value as bytes."""
        ...

    def unpack(self, data: bytes) -> Any:  # noqa: ANN401  as above
        """Return the value; any error means that the bytes are of no use."""
        ...


class RedisStore:
    """Places for values in the Redis at `url`; `state` names the state of the store as of now.

    Only kinds with a `packing` are kept. After a failure Redis is left alone for half a minute; the first one is logged.

    Errors: `ConfigurationError` when the package is not installed or the address is none.
    """

    def __init__(
        self,
        url: str,
        *,
        state: Callable[[], str],
        packing: Mapping[str, Packing],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = _package()
        self._state = state
        self._packing = packing
        self._clock = clock
        self._lock = threading.Lock()
        self._is_down = False
        self._again_at = clock()
        self.failures = 0
        try:
            self._client: Any = cast("Any", self._redis).Redis.from_url(
                url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
            )
        except ValueError:
            # Without its text, which may hold the password.
            raise ConfigurationError(
                problem="setting CACHE_REDIS_URL is wrong: it must be like redis://:password@host:6379/0",
                problem_zh="设置 CACHE_REDIS_URL 有误：需要形如 redis://:密码@主机:6379/0 的地址",
                variable="CACHE_REDIS_URL",
            ) from None

    def slot(self, kind: str, key: Hashable) -> "RedisSlot | None":
        """Return the place of a value of the store's state as of now; None for kinds that are not kept."""
        packing = self._packing.get(kind)
        if packing is None:
            return None
        parts = cast("tuple[object, ...]", key if isinstance(key, tuple) else (key,))
        name = ":".join(["stock_assets", str(_FORM), self._state(), kind, *map(str, parts)])
        return RedisSlot(self, name, packing)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, question: Callable[[Any], Any]) -> Any:  # noqa: ANN401  Redis answers anything
        """Return Redis' answer; None when there is none."""
        if self._clock() < self._again_at:
            return None
        try:
            answer = question(self._client)
        except (cast("Any", self._redis).RedisError, OSError) as error:
            self._failed(error)
            return None
        self._is_down = False
        return answer

    def _failed(self, error: Exception) -> None:
        with self._lock:
            self.failures += 1
            self._again_at = self._clock() + _AGAIN_AFTER_SECONDS
            is_first, self._is_down = not self._is_down, True
        if is_first:
            _log.warning("cache.redis_down", reason=type(error).__name__)


@dataclass(frozen=True, slots=True)
class RedisSlot:
    """The place of one value."""

    store: RedisStore
    name: str
    packing: Packing

    def read(self) -> tuple[Any, float] | None:
        """Return the value and the seconds for which it is still fresh; None for bytes that are of no use."""
        found = self.store.ask(
            lambda client: client.pipeline(transaction=False).get(self.name).pttl(self.name).execute()
        )
        if found is None or found[0] is None or found[1] <= 0:
            return None
        try:
            return self.packing.unpack(found[0]), found[1] / 1000
        except Exception:  # noqa: BLE001  somebody else's bytes, cut off ones, another version's: it is loaded
            return None

    def write(self, value: Any, seconds: float) -> None:  # noqa: ANN401  any kind of value
        """Keep the value for so many seconds."""
        milliseconds = int(seconds * 1000)
        if milliseconds > 0:
            self.store.ask(lambda client: client.set(self.name, self.packing.pack(value), px=milliseconds))

    def forget(self) -> None:
        """Keep nothing there."""
        self.store.ask(lambda client: client.unlink(self.name))


def _package() -> ModuleType:
    try:
        import redis  # noqa: PLC0415  an extra: most installations do without
    except ImportError as error:
        raise ConfigurationError(
            problem="setting CACHE_REDIS_URL needs the package redis; install it with `uv sync --extra redis`, or unset it",
            problem_zh="设置 CACHE_REDIS_URL 需要 redis 软件包；请运行 uv sync --extra redis 安装，或取消该设置",
            variable="CACHE_REDIS_URL",
        ) from error
    return redis
