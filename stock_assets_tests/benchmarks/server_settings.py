"""What each setting of the embedded server brings for the store's own work, always beside the settings as they are.

Run it as `python -m stock_assets_tests.benchmarks.server_settings`. Each step has two ratios against the settings as they
are, above 1 is better: of time by the clock, which includes the disk and whatever else the machine does, and of the
server's own processor time, which does not.
"""

import io
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import LiteralString

import click
import psutil
import psycopg
from psycopg import sql

from stock_assets.storage.embedded import EmbeddedServer

CANDIDATES: dict[str, dict[str, str]] = {
    "as it is": {},
    "shared_buffers 128MB": {"shared_buffers": "128MB"},
    "shared_buffers 1GB": {"shared_buffers": "1GB"},
    "wal_compression pglz": {"wal_compression": "pglz"},
    "wal_level replica": {"wal_level": "replica", "max_wal_senders": "10"},
    "both of these": {"wal_compression": "pglz", "wal_level": "replica", "max_wal_senders": "10"},
    "max_wal_size 512MB": {"max_wal_size": "512MB"},
    "max_wal_size 8GB": {"max_wal_size": "8GB"},
    "maintenance_work_mem 64MB": {"maintenance_work_mem": "64MB"},
    "maintenance_work_mem 1GB": {"maintenance_work_mem": "1GB"},
    "no parallel index build": {"max_parallel_maintenance_workers": "0"},
    "wal_buffers 64MB": {"wal_buffers": "64MB"},
    "autovacuum unthrottled": {"autovacuum_vacuum_cost_delay": "0"},
    "autovacuum off (never in use)": {"autovacuum": "off"},
    "io_method sync": {"io_method": "sync"},
    "effective_io_concurrency 200": {"effective_io_concurrency": "200", "maintenance_io_concurrency": "200"},
    "backend_flush_after 2MB": {"backend_flush_after": "2MB"},
    "checkpoint_timeout 30min": {"checkpoint_timeout": "30min"},
}
_CODES, _DAYS_OF_A_BLOCK, _CODES_OF_A_NIGHT, _NIGHTS = 5000, 10, 5400, 10
_COLUMNS = "ts_code, trade_date, open, high, low, close, pre_close, volume, amount, turnover_rate, pct_chg"
_TABLE: LiteralString = """
    CREATE TABLE bars (ts_code text COLLATE "C" NOT NULL, trade_date date NOT NULL, open float8, high float8, low float8,
        close float8, pre_close float8, volume bigint, amount float8, turnover_rate float8, pct_chg float8)
"""
_KEY: LiteralString = "ALTER TABLE bars ADD CONSTRAINT pk_bars PRIMARY KEY (ts_code, trade_date)"
_SECOND: LiteralString = "CREATE INDEX ix_bars ON bars (trade_date, ts_code)"
_MADE = """
    COPY (
        SELECT lpad(c::text, 6, '0') || '.SH', date '2000-01-01' + d, 10 + random(), 11 + random(), 9 + random(),
            10 + random(), 10 + random(), (random() * 1e8)::bigint, random() * 1e9, random() * 5, random() * 20 - 10
        FROM generate_series({first}, {last}) AS d, generate_series(1, {codes}) AS c ORDER BY 1, 2
    ) TO STDOUT (FORMAT binary)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by the clock, and of the server's processors."""

    clock: float
    processor: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run of the work took, and the megabytes of the write-ahead log."""

    copy: Cost
    nights: Cost
    indexes: Cost
    wal_mb: float


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="bars copied in blocks of 50,000")
@click.option("--indexed-rows", default=3_000_000, show_default=True, help="bars that get two indexes")
@click.option("--rounds", default=2, show_default=True, help="pairs per candidate")
@click.option("--only", multiple=True, help="a candidate's name, or its beginning; repeat for several")
def server_settings(rows: int, indexed_rows: int, rounds: int, only: tuple[str, ...]) -> None:
    """Print how candidates do against the settings as they are."""
    # Not below a folder that is closed to others: as root the server runs as an account of its own.
    home = Path(tempfile.mkdtemp(prefix="stock-assets-bench-"))
    server = EmbeddedServer(home)
    try:
        blocks, nights = _blocks(server, rows)
        print(
            "| candidate | COPY rows/s | clock × | CPU × | night s | clock × | CPU × | indexes s | clock × | CPU × | WAL MB (as it is) |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        for name, settings in CANDIDATES.items():
            if only and not name.startswith(only):
                continue
            base: list[Figures] = []
            found: list[Figures] = []
            for number in range(rounds):
                # Each first once: whoever comes second finds another state of the disk.
                for is_candidate in (False, True) if number % 2 == 0 else (True, False):
                    figures = _work(server, settings if is_candidate else {}, blocks, nights, indexed_rows)
                    (found if is_candidate else base).append(figures)
            _row(name, rows, base, found)
    finally:
        server.stop()
        shutil.rmtree(home)


def _blocks(server: EmbeddedServer, rows: int) -> tuple[list[bytes], list[bytes]]:
    """Return what is copied, as PostgreSQL's binary format: blocks of ten days, then single days."""
    with psycopg.connect(server.ensure_running(), autocommit=True) as connection:
        count = rows // (_CODES * _DAYS_OF_A_BLOCK)
        days = [(block * _DAYS_OF_A_BLOCK, (block + 1) * _DAYS_OF_A_BLOCK - 1) for block in range(count)]
        blocks = [_copied_out(connection, *span, _CODES) for span in days]
        first = count * _DAYS_OF_A_BLOCK
        return blocks, [_copied_out(connection, first + n, first + n, _CODES_OF_A_NIGHT) for n in range(_NIGHTS)]


def _copied_out(connection: psycopg.Connection, first: int, last: int, codes: int) -> bytes:
    buffer = io.BytesIO()
    with connection.cursor().copy(_MADE.format(first=first, last=last, codes=codes).encode()) as copy:
        for part in copy:
            buffer.write(part)
    return buffer.getvalue()


def _work(
    server: EmbeddedServer, settings: Mapping[str, str], blocks: list[bytes], nights: list[bytes], indexed_rows: int
) -> Figures:
    """Restart the server with these settings and do the work on empty tables."""
    with psycopg.connect(server.ensure_running(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM RESET ALL")
        for name, value in settings.items():
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        connection.execute("DROP TABLE IF EXISTS bars")
    server.stop()
    with psycopg.connect(server.ensure_running(), autocommit=True) as connection:
        connection.execute(_TABLE)
        connection.execute(_KEY)
        connection.execute(_SECOND)
        connection.execute("CHECKPOINT")
        before = _wal_bytes(connection)
        copied = _timed(server, lambda: [_copy(connection, block) for block in blocks])
        lived = [_timed_night(server, connection, night) for night in nights]
        connection.execute("ALTER TABLE bars DROP CONSTRAINT pk_bars")
        connection.execute("DROP INDEX ix_bars")
        _grow(connection, indexed_rows)
        indexed = _timed(server, lambda: (connection.execute(_KEY), connection.execute(_SECOND)))
        wal_mb = (_wal_bytes(connection) - before) / 2**20
    together = Cost(sum(one.clock for one in lived), sum(one.processor for one in lived))
    return Figures(copied, together, indexed, wal_mb)


def _copy(connection: psycopg.Connection, block: bytes) -> None:
    with connection.transaction(), connection.cursor().copy("COPY bars FROM STDIN (FORMAT binary)") as copy:
        copy.write(block)


def _night(connection: psycopg.Connection, rows: bytes) -> None:
    """Do what a night does: stage the day, then write what differs."""
    with connection.transaction():
        connection.execute("CREATE TEMP TABLE staged (LIKE bars) ON COMMIT DROP")
        with connection.cursor().copy("COPY staged FROM STDIN (FORMAT binary)") as copy:
            copy.write(rows)
        connection.execute("INSERT INTO bars SELECT * FROM staged ORDER BY 1, 2 ON CONFLICT DO NOTHING")


def _timed_night(server: EmbeddedServer, connection: psycopg.Connection, night: bytes) -> Cost:
    # Since yesterday there was one: each page that is touched goes into the log as a whole.
    connection.execute("CHECKPOINT")
    return _timed(server, lambda: _night(connection, night))


def _grow(connection: psycopg.Connection, rows: int) -> None:
    """Repeat what is there, later in time, until there are so many rows."""
    have = _scalar(connection, "SELECT count(*) FROM bars")
    rest = _COLUMNS.split(", ", 2)[2]
    for times in range(1, rows // have + 1):
        connection.execute(
            f"INSERT INTO bars SELECT ts_code, trade_date + 10000 * {times}, {rest} FROM bars"  # noqa: S608  constants
            f" WHERE trade_date < '2027-01-01' LIMIT {max(0, rows - have * times)}".encode()
        )


def _timed(server: EmbeddedServer, work: Callable[[], object]) -> Cost:
    processor, clock = _processor_seconds(server), time.perf_counter()
    work()
    return Cost(time.perf_counter() - clock, _processor_seconds(server) - processor)


def _processor_seconds(server: EmbeddedServer) -> float:
    """Return what the postmaster, its processes and those that have ended have used so far."""
    postmaster = psutil.Process(server.status().pid)
    times = postmaster.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for process in postmaster.children():
        with suppress(psutil.NoSuchProcess):
            total += process.cpu_times().user + process.cpu_times().system
    return total


def _scalar(connection: psycopg.Connection, query: LiteralString) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _wal_bytes(connection: psycopg.Connection) -> int:
    return _scalar(connection, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")


def _row(name: str, rows: int, base: list[Figures], found: list[Figures]) -> None:
    scale = {"copy": rows, "nights": _NIGHTS, "indexes": 1}
    cells: list[str] = []
    for step, count in scale.items():
        clock, processor = (
            [median(getattr(getattr(one, step), kind) for one in group) for group in (found, base)]
            for kind in ("clock", "processor")
        )
        shown = f"{count / clock[0]:,.0f}" if step == "copy" else f"{clock[0] / count:.2f}"
        cells += [shown, f"{clock[1] / clock[0]:.2f}", f"{processor[1] / processor[0]:.2f}"]
    wal, wal_of_base = (median(one.wal_mb for one in group) for group in (found, base))
    print(f"| {name} | {' | '.join(cells)} | {wal:,.0f} ({wal_of_base:,.0f}) |", flush=True)


if __name__ == "__main__":
    server_settings()
