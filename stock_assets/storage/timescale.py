"""Compression of hypertables, where TimescaleDB is present under its community licence.

Rows of one security lie together, newest first: that is how they are read, and neighbours differ least. A late correction
of some stocks goes into a compressed chunk like into any other; one of a good part of the market unpacks the whole chunk
first, which is faster. The next compression packs what was unpacked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, ProgrammingError

from stock_assets.domain.errors import ConfigurationError
from stock_assets.storage.database import Database
from stock_assets.storage.layout import DAY, PARTED, has_timescale, layout_of, refresh_statistics, rows_of

_log = structlog.get_logger(__name__)
SETTLED_DAYS = 30
"""Chunks whose last day is older are compressed: younger ones still get corrections."""

FEW_STOCKS = 20
"""A correction of no more stocks than this never unpacks a whole chunk."""
MANY_SHARE = 0.5
"""A correction of more than this share of a day's stocks does; of fewer it takes longer than their rows alone."""

_CHUNKS = sa.text("""
    SELECT format('%I.%I', chunk_schema, chunk_name) AS chunk, range_end::date AS ends, is_compressed
    FROM timescaledb_information.chunks
    WHERE hypertable_name = :table AND hypertable_schema = current_schema() ORDER BY range_start
""")
_PACKED_CHUNKS = sa.text("""
    SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks
    WHERE hypertable_name = :table AND hypertable_schema = current_schema() AND is_compressed
      AND range_start <= :last AND range_end > :first ORDER BY range_start
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
    """Say how the hypertable of `table` is compressed, and have the server do so by itself; return whether it can.

    A server without the community licence keeps the hypertable uncompressed.
    """
    held = rows_of(conn, table)
    try:
        with conn.begin_nested():
            how = f"timescaledb.compress, timescaledb.compress_segmentby = 'ts_code', timescaledb.compress_orderby = '{DAY} DESC'"
            conn.execute(sa.text(f"ALTER TABLE {held} SET ({how})"))
            policy = f"add_compression_policy('{held}', INTERVAL '{SETTLED_DAYS} days', if_not_exists => true)"
            conn.execute(sa.text(f"SELECT {policy}"))
    except DBAPIError as error:
        _log.warning("timescale.no_compression", table=table, reason=" ".join(str(error.orig).split()))
        return False
    return True


def reach(conn: Connection, target: sa.Table, stale: sa.FromClause) -> sa.ColumnElement[bool] | None:
    """Return what to say of the rows of `stale`, a join with the hypertable `target`, in an UPDATE of them; None without rows.

    TimescaleDB unpacks whatever days and codes that stand in the statement itself do not exclude: a join excludes nothing.
    """
    code, day = target.c.ts_code, target.c[DAY]
    found = sa.select(sa.func.array_agg(code.distinct()), sa.func.min(day), sa.func.max(day)).select_from(stale)
    codes, first, last = conn.execute(found).one()
    if not codes:
        return None
    days = day.between(first, last)
    if len(codes) > FEW_STOCKS and has_timescale(conn) and _are_many(conn, target, len(codes), first):
        for chunk in list(conn.scalars(_PACKED_CHUNKS, {"table": target.name, "first": first, "last": last})):
            conn.execute(sa.text(f"SELECT decompress_chunk('{chunk}', true)"))
        return days
    return sa.and_(days, code == sa.any_(sa.literal(codes, postgresql.ARRAY(sa.Text()))))


def _are_many(conn: Connection, target: sa.Table, stocks: int, day: date) -> bool:
    held = conn.scalar(sa.select(sa.func.count()).select_from(target).where(target.c[DAY] == day))
    return stocks > (held or 0) * MANY_SHARE


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
        held = rows_of(conn, table)
        chunks: Sequence[sa.Row[tuple[str, date, bool]]] = conn.execute(_CHUNKS, {"table": held}).all()
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
        sizes = conn.execute(_SIZES, {"table": held}).one()
    return Compressed(table, packed, sizes.before or 0, sizes.after or 0)
