"""One pace for many processes, as the far end counts it, whatever happens to the processes.

The window is a tenth of the real one, so that the test lasts seconds; calls arrive as datagrams, stamped by the kernel
where it can, because the far end's own delays are not the limiter's.
"""

import contextlib
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from stock_assets.sources.base import NoLedger
from stock_assets.sources.limiter import RateLimiter
from stock_assets.sources.pacing import Pace
from stock_assets.storage.database import Database
from stock_assets.storage.rate_state import StoredRates
from stock_assets_tests.sources.windows import most_in_a_window
from stock_assets_tests.storage.conftest import Process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and SIGSTOP are POSIX")

WINDOW_SECONDS, LIMIT = 6.0, 240
CALLER = """
import socket, sys, threading
from stock_assets.domain.errors import Stopped
from stock_assets.sources.base import NoLedger
from stock_assets.sources.limiter import RateLimiter
from stock_assets.sources.pacing import Pace
from stock_assets.storage.database import Database
from stock_assets.storage.rate_state import StoredRates
url, port, name, window, limit, threads = sys.argv[1:]
pace, stop = Pace(int(limit), window_seconds=float(window)), threading.Event()
limiter = RateLimiter(StoredRates(Database(url)), lambda _: pace, ledger=NoLedger(), stop=stop)
def call():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far_end:
        far_end.connect(("127.0.0.1", int(port)))
        try:
            while True:
                limiter.before_request("tushare", "daily")
                far_end.send(name.encode())
        except Stopped:
            pass
workers = [threading.Thread(target=call) for _ in range(int(threads))]
print("ready", flush=True)
sys.stdin.readline()
[worker.start() for worker in workers]
sys.stdin.read()
stop.set()
[worker.join() for worker in workers]
"""
LONE_CALLER = """
import sys
from stock_assets.sources.base import NoLedger
from stock_assets.sources.limiter import RateLimiter
from stock_assets.sources.pacing import Pace
from stock_assets.storage.database import Database
from stock_assets.storage.rate_state import StoredRates
limiter = RateLimiter(StoredRates(Database(sys.argv[1])), lambda _: Pace(200), ledger=NoLedger())
limiter.before_request("tushare", "daily")
limiter.record_refusal("tushare", "daily", "minute")
print("waits", flush=True)
limiter.before_request("tushare", "daily")
print("called", flush=True)
"""
Start = Callable[..., Process]


class FarEnd:
    """Stamps every call that arrives; `arrivals` holds (seconds, name of the process)."""

    _STAMP = getattr(socket, "SO_TIMESTAMPNS", 35)

    def __init__(self) -> None:
        self.arrivals: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        if sys.platform == "linux":
            self._socket.setsockopt(socket.SOL_SOCKET, self._STAMP, 1)
        self.port = self._socket.getsockname()[1]
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._receive)
        self._thread.start()

    def close(self) -> None:
        """Receive no more."""
        self._is_closing.set()
        self._thread.join(10)
        self._socket.close()

    def of(self, name: str) -> list[float]:
        """Return when the calls of one process arrived."""
        return [moment for moment, who in self.arrivals if who == name]

    def waits_for(self, calls: int, seconds: float = 60.0) -> None:
        """Wait until so many more calls have arrived."""
        wanted, until = len(self.arrivals) + calls, time.monotonic() + seconds
        while len(self.arrivals) < wanted:
            assert time.monotonic() < until
            time.sleep(0.01)

    def _receive(self) -> None:
        while not self._is_closing.is_set():
            with contextlib.suppress(TimeoutError):
                name, extra, *_ = self._socket.recvmsg(64, 64)
                stamps = [data for _, kind, data in extra if kind == self._STAMP]
                moment = time.time() if not stamps else _seconds(stamps[0])
                self.arrivals.append((moment, name.decode()))


def _seconds(stamp: bytes) -> float:
    whole, nanos = struct.unpack("@ll", stamp[: struct.calcsize("@ll")])
    return whole + nanos / 1e9


@pytest.fixture
def far_end() -> Iterator[FarEnd]:
    """The receiving side."""
    far_end = FarEnd()
    yield far_end
    far_end.close()


def go(caller: Process) -> None:
    """Let a caller begin."""
    assert caller.popen.stdin is not None
    caller.popen.stdin.write("\n")
    caller.popen.stdin.flush()


@pytest.mark.slow
def test_four_processes_together_keep_the_limit_in_every_window_and_use_it(
    database_url: str, process: Start, far_end: FarEnd
) -> None:
    facts = (str(WINDOW_SECONDS), str(LIMIT), "3")
    names = ("whole", "killed", "stopped", "late")
    callers = {name: process(CALLER, database_url, str(far_end.port), name, *facts) for name in names}
    for caller in callers.values():
        assert caller.line() == "ready"
    for name in names[:3]:
        go(callers[name])
    far_end.waits_for(LIMIT)
    killed_at = time.time()
    callers["killed"].kill()
    go(callers["late"])
    far_end.waits_for(LIMIT // 2)
    stopped_at = time.time()
    os.kill(callers["stopped"].popen.pid, signal.SIGSTOP)
    far_end.waits_for(LIMIT // 4)
    os.kill(callers["stopped"].popen.pid, signal.SIGCONT)
    continued_at = time.time()
    far_end.waits_for(2 * LIMIT)
    for name in ("whole", "stopped", "late"):
        assert callers[name].finish() == 0

    moments = [moment for moment, _ in far_end.arrivals]
    most = most_in_a_window(moments, WINDOW_SECONDS)
    # Turns of who is killed or stopped are lost, one a thread: steady is what lies between.
    steady = [(min(moments), killed_at), (killed_at + 1.0, stopped_at), (continued_at + 1.0, max(moments))]
    calls = sum(start <= moment < end for moment in moments for start, end in steady)
    share = calls / (LIMIT * sum(end - start for start, end in steady) / WINDOW_SECONDS)
    print(f"{len(moments)} calls, at most {most} of {LIMIT} in a window, {share:.1%} used")  # noqa: T201  the figures
    assert most <= LIMIT
    assert share >= 0.95
    assert all(far_end.of(name) for name in names)
    assert max(far_end.of("killed")) < killed_at + 1.0
    assert max(far_end.of("stopped")) > max(far_end.of("killed"))


def test_after_a_refusal_nobody_calls_for_a_whole_window(database_url: str, process: Start, far_end: FarEnd) -> None:
    window = 2.0
    callers = [process(CALLER, database_url, str(far_end.port), str(n), str(window), "100", "3") for n in range(2)]
    for caller in callers:
        assert caller.line() == "ready"
        go(caller)
    far_end.waits_for(30)
    database = Database(database_url)
    rates = StoredRates(database)
    here = RateLimiter(rates, lambda _: Pace(100, window_seconds=window), ledger=NoLedger())
    before = time.time()
    here.record_refusal("tushare", "daily", "minute", limit=80)
    recorded = time.time()
    far_end.waits_for(60)
    for caller in callers:
        assert caller.finish() == 0
    moments = [moment for moment, _ in far_end.arrivals]
    # A call whose turn came while the refusal was written may still be on its way.
    assert [moment for moment in moments if recorded + 0.1 < moment < before + window] == []
    after = [moment for moment in moments if moment >= before + window]
    assert most_in_a_window(after, window) <= 72
    (state,) = rates.states()
    assert state.learned_limit == 80
    rates.close()
    database.close()


def test_ctrl_c_ends_a_process_that_waits_for_a_minute(database_url: str, process: Start) -> None:
    caller = process(LONE_CALLER, database_url)
    # The refusal itself is a line of the log.
    while caller.line() != "waits":
        pass
    time.sleep(0.3)
    caller.popen.send_signal(signal.SIGINT)
    assert caller.popen.wait(10) != 0
    assert caller.popen.stdout is not None
    assert "called" not in caller.popen.stdout.read()
