"""Packed tables: the table that holds the rows, the view in whose form everybody reads and writes them, and the way back.

How values are packed is known in `packing`; which table is laid out so, and when, in `layout`.
"""

import re
from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection

from stock_assets.storage.packing import (
    HELD_IN,
    held_names,
    packed_moment,
    packing,
    unpacked,
    unpacked_rule,
    unpacking,
)
from stock_assets.storage.schema import definition_of, rules_of, table_of

_COLUMNS = sa.text("""
    SELECT attname FROM pg_attribute WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 AND NOT attisdropped
""")
# The law of migration 0002, which says it for a table that holds its rows as they are.
_KEEP = """
    CREATE FUNCTION keep_{held}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $body$
    DECLARE
        run text := nullif(current_setting('stock_assets.run_id', true), '');
        start timestamptz := greatest({old_moment}, (
            SELECT max(valid_to) FROM {table}_history AS kept
            WHERE kept.ts_code = OLD.ts_code AND kept.trade_date = OLD.trade_date
        ));
        after timestamptz := start + interval '1 microsecond';
    BEGIN
        IF TG_OP = 'DELETE' THEN
            after := greatest(clock_timestamp(), after);
        ELSIF NEW IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        ELSIF {new_moment} > start THEN
            after := {new_moment};
        ELSIF run IS NULL THEN
            after := greatest(clock_timestamp(), after);
        END IF;
        INSERT INTO {table}_history ({columns}, valid_from, valid_to, run_id) VALUES ({old_columns}, start, after, run);
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        NEW.updated_at := {after};
        NEW.updated_at_us := {after_us};
        RETURN NEW;
    END
    $body$
"""
# EXECUTE plans for the row at hand, and there is no limit: a row of a compressed chunk unpacks its neighbours only.
_WRITE = """
    CREATE FUNCTION write_{table}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
    SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0 AS $body$
    DECLARE
        packed {held};
        changed bigint;
    BEGIN
        IF TG_OP <> 'DELETE' THEN
            {packing} INTO packed;
        END IF;
        IF TG_OP = 'INSERT' THEN
            INSERT INTO {held} SELECT packed.*;
            RETURN NEW;
        END IF;
        IF TG_OP = 'UPDATE' THEN
            IF (NEW.ts_code, NEW.trade_date) IS DISTINCT FROM (OLD.ts_code, OLD.trade_date) THEN
                RAISE feature_not_supported
                USING MESSAGE = 'the code or the day of a bar is never changed: delete it, and insert the other one';
            END IF;
            EXECUTE format(
                'UPDATE {held} SET {assignments} WHERE ts_code = %L AND trade_date = %L', OLD.ts_code, OLD.trade_date
            ) USING packed;
        ELSE
            EXECUTE format('DELETE FROM {held} WHERE ts_code = %L AND trade_date = %L', OLD.ts_code, OLD.trade_date);
        END IF;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed = 0 THEN
            RETURN NULL;
        ELSIF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        RETURN NEW;
    END
    $body$
"""
_WRITE_TRIGGER = """
    CREATE TRIGGER write_{table} INSTEAD OF INSERT OR UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION write_{table}()
"""


def packed_shape(conn: Connection, table: str) -> str:
    """Return columns and rules of the packed table that can hold the rows of `table`."""
    held = table_of(HELD_IN[table].name)
    needed = [column.name for column in table_of(table).columns if not column.nullable and held.c[column.name].nullable]
    rules = {name: unpacked_rule(rule) for name, rule in rules_of(table).items()}
    rules |= {f"ck_{table}_{name}_known": f"{unpacked(name)} IS NOT NULL" for name in needed}
    return _shape(held.name, _parts(table, _columns(conn, table)), rules)


def unpacked_shape(conn: Connection, table: str) -> str:
    """Return columns and rules of the table that can hold the rows of the view `table` as they are."""
    return _shape(table, _columns(conn, table), rules_of(table))


def fill_packed(conn: Connection, table: str, new: str) -> None:
    """Bring the rows of `table` into its packed table `new`, and say what its columns mean."""
    held = HELD_IN[table]
    parts = _parts(table, _columns(conn, table))
    run(conn, f"COMMENT ON TABLE {new} IS {sql.quote(held.comment)}")
    for column in held.columns:
        if column.name in parts:
            run(conn, f"COMMENT ON COLUMN {new}.{column.name} IS {sql.quote(column.comment)}")
    run(conn, f"INSERT INTO {new} ({', '.join(parts)}) {packing(parts, table)}")


def create_view(conn: Connection, table: str) -> None:
    """Let everybody read and write as `table` what its packed table holds, and have what keeps replaced rows ready."""
    held = HELD_IN[table].name
    there = _columns(conn, held)
    names = [name for name in table_of(table).c.keys() if held_names([name])[0] in there]  # noqa: SIM118  a collection of columns, not a dict
    run(conn, f"CREATE VIEW {table} AS SELECT {unpacking(names)} FROM {held}")  # noqa: S608  names of ours
    assignments = ", ".join(f"{name} = ($1).{name}" for name in there if name not in HELD_IN[table].key)
    given = packing(there, "(SELECT NEW.*) AS given")
    run(conn, _WRITE.format(table=table, held=held, packing=given, assignments=assignments))
    run(conn, _WRITE_TRIGGER.format(table=table))
    kept = [name for name in names if name != "updated_at"]
    after, after_us = packed_moment("after")
    keep = _KEEP.format(
        table=table,
        held=held,
        columns=", ".join(kept),
        old_columns=", ".join(unpacked(name, "OLD.") for name in kept),
        old_moment=unpacked("updated_at", "OLD."),
        new_moment=unpacked("updated_at", "NEW."),
        after=after,
        after_us=after_us,
    )
    run(conn, keep)


def drop_packed(conn: Connection, table: str) -> None:
    """Drop the view, its packed table, and their functions.

    Errors: the server's own when something of the user's hangs on them.
    """
    held = HELD_IN[table].name
    for statement in (
        f"DROP VIEW {table}",
        f"DROP TABLE {held}",
        f"DROP FUNCTION write_{table}()",
        f"DROP FUNCTION keep_{held}()",
    ):
        run(conn, statement)


def hung_on(statement: str, one: str, other: str) -> str:
    """Return the statement that makes a key, an index, a trigger or a grant of table `one`, for table `other`."""
    of_table = rf'\b(ON|TABLE) ((?:\w+|"[^"]+")\.)?{one}\b'
    return re.sub(of_table, rf"\1 \2{other}", statement).replace(f"keep_{one}()", f"keep_{other}()")


def run(conn: Connection, statement: str) -> None:
    """Run a statement as it is: neither a colon nor a percent sign in it means anything to SQLAlchemy."""
    conn.exec_driver_sql(statement.replace("%", "%%"))


def _columns(conn: Connection, relation: str) -> list[str]:
    """Return the columns of a relation, which an earlier revision may have fewer of than the contract."""
    return list(conn.scalars(_COLUMNS, {"name": relation}))


def _parts(table: str, names: Iterable[str]) -> list[str]:
    """Return the columns of the packed table that hold the columns `names` of `table`."""
    missing = set(held_names(set(table_of(table).columns.keys()) - set(names)))
    return [name for name in HELD_IN[table].names if name not in missing]


def _shape(like: str, names: Iterable[str], rules: Mapping[str, str]) -> str:
    columns = [definition_of(table_of(like).c[name]) for name in names]
    return ", ".join([*columns, *(f"CONSTRAINT {name} CHECK ({rule})" for name, rule in rules.items())])
