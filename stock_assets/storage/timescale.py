"""Compression of hypertables, where TimescaleDB is present under its community licence.

Rows of one security lie together, newest first: that is how they are read, and neighbours differ least. A late correction
goes into a compressed chunk like into any other; the next compression packs what it unpacked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, ProgrammingError

from stock_assets.domain.errors import ConfigurationError
from stock_assets.storage.database import Database
from stock_assets.storage.layout import DAY, PARTED, layout_of, refresh_statistics

_log = structlog.get_logger(__name__)
SETTLED_DAYS = 30
"""Chunks whose last day is older are compressed: younger ones still get corrections."""

_CHUNKS = sa.text("""
    SELECT format('%I.%I', chunk_schema, chunk_name) AS chunk, range_end::date AS ends, is_compressed
    FROM timescaledb_information.chunks
    WHERE hypertable_name = :table AND hypertable_schema = current_schema() ORDER BY range_start
""")
_SIZES = sa.text("""
    SELECT sum(before_compression_total_bytes)::bigint AS before, sum(after_compression_total_bytes)::bigint AS after
    FROM hypertable_compression_stats(CAST(:table AS regclass))
""")


@dataclass(frozen=True, slots=True)
class Compressed:
    """What a compression did to a table: chunks packed now, and the bytes of all packed chunks before and after."""

    table: str
    chunks: int
    bytes_before: int
    bytes_after: int


def arrange(conn: Connection, table: str) -> bool:
    """Say how `table`, a hypertable, is compressed, and have the server do so by itself; return whether it can.

    A server without the community licence keeps the hypertable uncompressed.
    """
    try:
        with conn.begin_nested():
            how = f"timescaledb.compress, timescaledb.compress_segmentby = 'ts_code', timescaledb.compress_orderby = '{DAY} DESC'"
            conn.execute(sa.text(f"ALTER TABLE {table} SET ({how})"))
            policy = f"add_compression_policy('{table}', INTERVAL '{SETTLED_DAYS} days', if_not_exists => true)"
            conn.execute(sa.text(f"SELECT {policy}"))
    except DBAPIError as error:
        _log.warning("timescale.no_compression", table=table, reason=" ".join(str(error.orig).split()))
        return False
    return True


def compress(database: Database, *, settled: date) -> list[Compressed]:
    """Compress every chunk whose days all lie before `settled`, one transaction a chunk, and give the space back.

    A chunk that late corrections have unpacked in part is packed again.

    Errors: `ConfigurationError` when the store has no hypertables, or the server no licence for compression.
    """
    with database.begin() as conn:
        tables = [table for table in PARTED if layout_of(conn, table) == "hypertable"]
        if not tables or not all(arrange(conn, table) for table in tables):
            raise ConfigurationError(
                problem="this store cannot be compressed: its server has no TimescaleDB under the community licence; "
                "native partitions are kept as they are",
                problem_zh="该存储无法压缩：服务器上没有社区许可的 TimescaleDB；原生分区保持不变",
            )
    return [_compress(database, table, settled) for table in tables]


def _compress(database: Database, table: str, settled: date) -> Compressed:
    with database.read() as conn:
        chunks: Sequence[sa.Row[tuple[str, date, bool]]] = conn.execute(_CHUNKS, {"table": table}).all()
    packed = 0
    for chunk in chunks:
        if chunk.ends > settled:
            continue
        try:
            with database.begin() as conn:
                conn.execute(sa.text(f"SELECT compress_chunk('{chunk.chunk}', if_not_compressed => true)"))
        except ProgrammingError as error:
            # The server's own job was faster.
            if not isinstance(error.orig, psycopg.errors.DuplicateObject):
                raise
        packed += 1
    with database.begin() as conn:
        refresh_statistics(conn, table)
        sizes = conn.execute(_SIZES, {"table": table}).one()
    return Compressed(table, packed, sizes.before or 0, sizes.after or 0)
