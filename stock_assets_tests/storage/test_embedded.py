"""The embedded server between processes, after crashes, and towards other users."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from stock_assets.domain.errors import StockAssetsError, StoreUnavailable
from stock_assets.storage.embedded import EmbeddedServer
from stock_assets.storage.server_account import ACCOUNT_NAME, server_account
from stock_assets_tests.storage.conftest import Process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes and sockets")
needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else"
)

USER = """
import sys
from pathlib import Path
from stock_assets.storage.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.ensure_running()
print(server.status().pid, flush=True)
sys.stdin.read()
"""
Start = Callable[..., Process]


def new_home() -> Path:
    return Path(tempfile.mkdtemp(prefix="stock-assets-tests-"))


def remove(home: Path) -> None:
    with suppress(StockAssetsError):
        EmbeddedServer(home).stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def fresh_home() -> Iterator[Path]:
    """A home without a server."""
    home = new_home()
    yield home
    remove(home)


@pytest.fixture(scope="module")
def made_home() -> Iterator[Path]:
    """A home with an initialised server, for tests about what comes later."""
    home = new_home()
    server = EmbeddedServer(home)
    server.ensure_running()
    server.release()
    yield home
    remove(home)


@pytest.fixture
def home(made_home: Path) -> Iterator[Path]:
    """The initialised home; whatever a test leaves running is stopped."""
    yield made_home
    EmbeddedServer(made_home).stop()


def is_running(home: Path) -> bool:
    return EmbeddedServer(home).status().is_running


def ask(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def as_nobody(work: Callable[[], bool]) -> bool:
    """Return what `work` says in a forked child that has become the user `nobody`; an error says no."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            code = 0 if work() else 1
        except BaseException as error:  # noqa: BLE001  (nothing may leave a forked child of pytest)
            os.write(2, f"{error!r}\n".encode())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_processes_share_one_server_and_the_last_one_out_stops_it(home: Path, process: Start) -> None:
    first, second = process(USER, str(home)), process(USER, str(home))
    assert first.line() == second.line()
    assert first.finish() == 0
    assert is_running(home)
    assert second.finish() == 0
    assert not is_running(home)


def test_a_killed_user_neither_stops_the_server_for_others_nor_keeps_it_alive(home: Path, process: Start) -> None:
    first, second = process(USER, str(home)), process(USER, str(home))
    pid = first.line()
    assert second.line() == pid
    first.kill()
    assert EmbeddedServer(home).status().pid == int(pid)
    second.finish()
    assert not is_running(home)


def test_a_server_left_behind_is_used_by_the_next_process_and_stopped_by_it(home: Path, process: Start) -> None:
    only = process(USER, str(home))
    pid = only.line()
    only.kill()
    assert is_running(home)
    following = process(USER, str(home))
    assert following.line() == pid
    following.finish()
    assert not is_running(home)


def test_ctrl_c_ends_one_process_and_not_the_server_of_the_others(home: Path, process: Start) -> None:
    starter, other = process(USER, str(home)), process(USER, str(home))
    pid = int(starter.line())
    other.line()
    os.killpg(starter.popen.pid, signal.SIGINT)
    starter.popen.wait(10)
    assert EmbeddedServer(home).status().pid == pid


def test_handles_of_one_process_count_together(home: Path) -> None:
    first, second = EmbeddedServer(home), EmbeddedServer(home)
    first.ensure_running()
    first.ensure_running()
    second.ensure_running()
    first.release()
    first.release()
    assert is_running(home)
    second.release()
    assert not is_running(home)


def test_a_forked_child_never_stops_its_parents_server(home: Path, process: Start) -> None:
    code = """
import os, sys
from pathlib import Path
from stock_assets.storage.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.ensure_running()
pid = server.status().pid
for uses_it in (False, True):
    child = os.fork()
    if child == 0:
        if uses_it:
            server.ensure_running()
            server.release()
        sys.exit()
    os.waitpid(child, 0)
    print(server.status().pid == pid, flush=True)
sys.stdin.read()
"""
    parent = process(code, str(home))
    assert [parent.line(), parent.line()] == ["True", "True"]
    assert parent.finish() == 0
    assert not is_running(home)


def test_a_forked_child_that_uses_the_server_keeps_it_when_its_parent_ends(home: Path, process: Start) -> None:
    code = """
import os, sys
from pathlib import Path
from stock_assets.storage.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.ensure_running()
ready, tell = os.pipe()
if os.fork() == 0:
    server.ensure_running()
    os.write(tell, b".")
    sys.stdin.read()
    server.release()
    print("released", flush=True)
else:
    os.read(ready, 1)
"""
    parent = process(code, str(home))
    assert parent.popen.wait(20) == 0
    assert is_running(home)
    assert parent.popen.stdin is not None
    parent.popen.stdin.close()
    assert parent.line() == "released"
    assert not is_running(home)


def test_looking_changes_nothing(fresh_home: Path) -> None:
    status = EmbeddedServer(fresh_home).status()
    assert (status.is_running, status.pid, status.version) == (False, None, None)
    EmbeddedServer(fresh_home).stop()
    EmbeddedServer(fresh_home / "absent").release()
    assert [path.name for path in fresh_home.iterdir() if path.is_dir()] == []


def test_starting_and_stopping_at_the_same_time_is_safe(home: Path, process: Start) -> None:
    code = """
import sys
from pathlib import Path
import psycopg
from stock_assets.storage.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
for _ in range(8):
    with psycopg.connect(server.ensure_running()) as connection:
        connection.execute("SELECT 1")
    server.release()
print("done", flush=True)
"""
    racers = [process(code, str(home)) for _ in range(3)]
    assert [racer.line() for racer in racers] == ["done"] * 3
    assert [racer.finish() for racer in racers] == [0] * 3
    assert not is_running(home)


def test_first_starts_at_the_same_time_make_one_server(fresh_home: Path, process: Start) -> None:
    racers = [process(USER, str(fresh_home)) for _ in range(3)]
    assert len({racer.line() for racer in racers}) == 1
    assert [racer.finish() for racer in racers] == [0] * 3


def test_a_killed_postmaster_heals_with_every_committed_row(home: Path) -> None:
    server = EmbeddedServer(home)
    url = server.ensure_running()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    killed = server.status().pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert ask(server.ensure_running(), "SELECT count(*) FROM kept") == 1000
    assert server.status().pid != killed
    server.release()


def test_a_stale_process_number_that_another_program_got_does_not_block_the_start(home: Path) -> None:
    server = EmbeddedServer(home)
    server.ensure_running()
    killed = server.status().pid
    assert killed is not None
    remains = psutil.Process(killed).children()
    os.kill(killed, signal.SIGKILL)
    psutil.wait_procs(remains, timeout=10)
    with subprocess.Popen(["sleep", "60"], **server_account().run_as) as other:
        file = home / "postgres" / "postmaster.pid"
        lines = file.read_text().splitlines()
        file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        assert ask(server.ensure_running(), "SELECT 1") == 1
        other.kill()
    server.release()


def test_a_half_made_data_directory_is_put_aside_and_made_anew(fresh_home: Path) -> None:
    half = fresh_home / "postgres"
    (half / "base").mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    (fresh_home / "postgres.new-left").mkdir()
    server = EmbeddedServer(fresh_home)
    assert ask(server.ensure_running(), "SELECT 1") == 1
    (aside,) = fresh_home.glob("postgres.unfinished-*")
    assert (aside / "PG_VERSION").exists()
    assert not (fresh_home / "postgres.new-left").exists()
    server.release()


def test_a_setup_that_is_killed_half_way_heals(fresh_home: Path, process: Start) -> None:
    first = process(USER, str(fresh_home))
    deadline = time.monotonic() + 30
    while not list(fresh_home.glob("postgres.new-*/PG_VERSION")) and time.monotonic() < deadline:
        time.sleep(0.005)
    first.kill()
    assert not (fresh_home / "postgres").exists()
    server = EmbeddedServer(fresh_home)
    assert ask(server.ensure_running(), "SELECT 1") == 1
    server.release()


def test_a_removed_socket_folder_heals(home: Path) -> None:
    server = EmbeddedServer(home)
    server.ensure_running()
    shutil.rmtree(home / "postgres.sockets")
    assert ask(server.ensure_running(), "SELECT 1") == 1
    server.release()


def test_a_start_that_fails_says_what_the_server_said(home: Path) -> None:
    settings = home / "postgres" / "postgresql.conf"
    sound = settings.read_bytes()
    settings.write_bytes(sound + b"\nno_such_setting = 1\n")
    try:
        with pytest.raises(StoreUnavailable, match="no_such_setting"):
            EmbeddedServer(home).ensure_running()
    finally:
        settings.write_bytes(sound)
    assert not is_running(home)


def test_a_failed_start_leaves_no_share_behind(home: Path, process: Start) -> None:
    test_a_start_that_fails_says_what_the_server_said(home)
    other = process(USER, str(home))
    other.line()
    other.finish()
    assert not is_running(home)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
        ("timezone", "UTC"),
        ("jit", "off"),
    ],
)
def test_the_server_is_durable_private_and_the_same_everywhere(embedded_url: str, setting: str, value: str) -> None:
    assert ask(embedded_url, f"SELECT current_setting('{setting}')") == value


@pytest.fixture(scope="module")
def embedded_url() -> Iterator[str]:
    """The address of a running embedded server."""
    home = new_home()
    server = EmbeddedServer(home)
    yield server.ensure_running()
    server.release()
    remove(home)


def test_a_database_is_made_when_it_is_missing(home: Path) -> None:
    server = EmbeddedServer(home)
    assert ask(server.ensure_running("second base"), "SELECT current_database()") == "second base"
    server.release()


def test_no_other_user_can_connect(home: Path) -> None:
    server = EmbeddedServer(home)
    server.ensure_running()
    sockets = home / "postgres.sockets"
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert stat.S_IMODE((sockets / ".s.PGSQL.5432").stat().st_mode) == 0o700
    if os.geteuid() == 0:

        def cannot_connect() -> bool:
            with socket.socket(socket.AF_UNIX) as client:
                return client.connect_ex(str(sockets / ".s.PGSQL.5432")) != 0

        assert as_nobody(cannot_connect)
    server.release()


def test_a_home_with_a_long_path_gets_its_sockets_in_a_short_private_folder(fresh_home: Path) -> None:
    home = fresh_home / ("long" * 25)
    server = EmbeddedServer(home)
    assert ask(server.ensure_running(), "SELECT 1") == 1
    sockets = Path(server.status().address)
    assert len(str(sockets)) < 80
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    server.release()
    shutil.rmtree(sockets)


@needs_root
def test_as_root_the_server_owns_its_data_and_nobody_may_read_more_than_before(fresh_home: Path) -> None:
    fresh_home.chmod(0o700)
    server = EmbeddedServer(fresh_home)
    pid = ask(server.ensure_running(), "SELECT pg_backend_pid()")
    assert pid is not None
    running = server.status().pid
    assert running is not None
    assert psutil.Process(running).username() == ACCOUNT_NAME
    assert stat.S_IMODE(fresh_home.stat().st_mode) == 0o701
    data = (fresh_home / "postgres").stat()
    assert (data.st_uid, stat.S_IMODE(data.st_mode)) == (psutil.Process(running).uids().effective, 0o700)
    server.release()


@needs_root
def test_an_ordinary_user_runs_it_as_themselves() -> None:
    home = new_home()
    os.chown(home, 65534, 65534)

    def work() -> bool:
        server = EmbeddedServer(home)
        answer = ask(server.ensure_running(), "SELECT 1")
        pid = server.status().pid
        owner = None if pid is None else psutil.Process(pid).uids().effective
        server.release()
        return answer == 1 and owner == 65534 and not server.status().is_running

    try:
        assert as_nobody(work)
        assert (home / "postgres").stat().st_uid == 65534
    finally:
        shutil.rmtree(home, ignore_errors=True)
