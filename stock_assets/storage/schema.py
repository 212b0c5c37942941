"""The tables of `storage.tables` as SQLAlchemy sees them: the target that migrations must reach.

Nothing creates tables from here: `migrations/` does, and a test holds the two together. No schema is named, so the
connection's `search_path` decides where the tables live.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from stock_assets.domain.contract import Column, Kind, Table
from stock_assets.storage.packing import HELD_IN
from stock_assets.storage.tables import TABLES

_NAMES = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}
# Codes and digests are compared byte by byte: "C" sorts the same on every machine and its indexes are faster.
_FLOAT: sa.Double[float] = sa.Double()
_TYPES: dict[Kind, TypeEngine[Any]] = {
    "text": sa.Text(collation="C"),
    "date": sa.Date(),
    "float": _FLOAT,
    "floats": postgresql.ARRAY(_FLOAT),
    "integer": sa.BigInteger(),
    "boolean": sa.Boolean(),
    "timestamp": sa.DateTime(timezone=True),
}
_quote = postgresql.dialect().identifier_preparer.quote
_ID_COMMENT = "数据库生成的行号 | row number given by the database"

# What is true of the market, or of our own bookkeeping, whoever writes. A null side makes a rule pass.
_CODE_FORM = "ts_code ~ '^[0-9]{6}[.](SH|SZ|BJ)$'"
_RULES: dict[str, dict[str, str]] = {
    "trading_day": {
        "previous_open_earlier": "previous_open < trade_date",
        "sources_agree_means_same": "sources_agree IS NOT DISTINCT FROM (is_open = source_is_open)",
    },
    "security": {
        "ts_code_form": _CODE_FORM,
        "exchange_of_code": "exchange = substr(ts_code, 8)",
        "delist_not_before_list": "delist_date >= list_date",
    },
    "stock_daily": {
        "ts_code_form": _CODE_FORM,
        # No session before this one is in any calendar, so such a row could never be accounted for.
        "trade_date_first_session": "trade_date >= '1990-12-19'",
        "high_not_below_low": "high >= low",
        "high_is_highest": "high >= GREATEST(open, close)",
        "low_is_lowest": "low <= LEAST(open, close)",
    },
    "adjust_factor": {
        "ts_code_form": _CODE_FORM,
        "back_adjust_factor_positive": "back_adjust_factor > 0",
    },
    "stock_daily_history": {"valid_from_before_to": "valid_from < valid_to"},
    "adjust_factor_history": {"valid_from_before_to": "valid_from < valid_to"},
    "sync_tasks": {"completed_has_time": "(status = 'COMPLETED') = (completed_at IS NOT NULL)"},
    "rate_state": {"closed_has_reason": "(closed_until IS NULL) = (closed_reason IS NULL)"},
    "cache_snapshot": {
        "snapshot_id_form": "snapshot_id ~ '^[0-9a-f]{16}$'",
        "digest_form": "digest ~ '^[0-9a-f]{64}$'",
    },
    "asked_gap": {"ts_code_form": _CODE_FORM, "first_before_last": "first_asked_on <= last_asked_on"},
    "finance_indicator": {
        "ts_code_form": _CODE_FORM,
        "end_date_quarter_end": "extract(day FROM end_date + 1) = 1 AND extract(month FROM end_date + 1) IN (1, 4, 7, 10)",
        "ann_date_after_period": "ann_date >= end_date",
        "known_after_announcement": "known_from > GREATEST(ann_date, f_ann_date)",
    },
    "finance_progress": {
        "ts_code_form": _CODE_FORM,
        "known_through_not_before_first": "known_through >= first_period",
    },
    "load_ledger": {
        "empty_has_no_rows": "status <> 'empty' OR rows_present = 0",
        "complete_misses_no_row": "status <> 'complete' OR rows_present >= rows_expected",
        "open_gap_has_reason": "status IN ('complete', 'empty') OR detail IS NOT NULL",
    },
}
# Unique among the rows of a condition only.
_UNIQUE_WHERE: dict[str, dict[tuple[str, ...], str]] = {
    "sync_tasks": {("job_type",): "status = 'RUNNING'"},
    "sync_failure_records": {("job_type", "third_code"): "resolved_at IS NULL"},
    "cache_snapshot": {("trade_date",): "is_current"},
}


def table_of(name: str) -> sa.Table:
    """Return the table called `name`, be it one that holds another one's rows packed.

    Errors: `KeyError` when no contract has this name.
    """
    return metadata.tables[name] if name in metadata.tables else _packed.tables[name]


def table_for(table: Table) -> sa.Table:
    """Return the table of a contract; it may have columns of the user's own beside those that every store has."""
    known = table_of(table.name)
    return known if set(known.columns.keys()) >= set(table.names) else _extended(table)


@cache
def _extended(table: Table) -> sa.Table:
    return _metadata([table]).tables[table.name]


def rules_of(name: str) -> dict[str, str]:
    """Return the rules of the table called `name`, by the names they have in the database."""
    checks = (rule for rule in table_of(name).constraints if isinstance(rule, sa.CheckConstraint))
    return dict(sorted((str(check.name), str(check.sqltext)) for check in checks))


def definition_of(column: sa.Column[Any]) -> str:
    """Return a column as CREATE TABLE wants it."""
    kind = column.type.compile(dialect=postgresql.dialect())
    # By the name that servers from 18 on give it, whatever the table is called while it is filled.
    needed = "" if column.nullable else f" CONSTRAINT {_quote(f'{column.table.name}_{column.name}_not_null')} NOT NULL"
    return f"{_quote(column.name)} {kind}{needed}"


def _checks(table: Table) -> Iterator[sa.CheckConstraint]:
    if table.derived:
        return
    for column in table.columns:
        if column.kind == "float" or column.minimum is not None:
            yield sa.CheckConstraint(_range(column), name=f"{column.name}_range")
        if column.choices:
            choices = ", ".join(f"'{choice}'" for choice in column.choices)
            yield sa.CheckConstraint(f"{_quote(column.name)} IN ({choices})", name=f"{column.name}_choice")
    for name, rule in _RULES.get(table.name, {}).items():
        yield sa.CheckConstraint(rule, name=name)


def _range(column: Column) -> str:
    name = _quote(column.name)
    if column.kind != "float":
        return f"{name} >= {column.minimum:g}"
    # PostgreSQL sorts NaN above infinity, so an open upper end would let both in.
    lower = f"{name} > '-Infinity'" if column.minimum is None else f"{name} >= {column.minimum:g}"
    return f"{lower} AND {name} < 'Infinity'"


def _build(metadata: sa.MetaData, table: Table) -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column(column.name, _TYPES[column.kind], nullable=column.nullable, comment=column.comment)
        for column in table.columns
    ]
    keys: list[sa.Constraint] = [sa.PrimaryKeyConstraint(*table.key)]
    if table.surrogate:
        number = sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment=_ID_COMMENT)
        columns.insert(0, number)
        keys = [sa.PrimaryKeyConstraint("id"), *([sa.UniqueConstraint(*table.key)] if table.key else [])]
    built = sa.Table(table.name, metadata, *columns, *keys, *_checks(table), comment=table.comment)
    for names in table.indexes:
        sa.Index(None, *(built.c[name] for name in names))
    for names, condition in _UNIQUE_WHERE.get(table.name, {}).items():
        sa.Index(None, *(built.c[name] for name in names), unique=True, postgresql_where=sa.text(condition))


def _metadata(tables: Iterable[Table]) -> sa.MetaData:
    metadata = sa.MetaData(naming_convention=_NAMES)
    for table in tables:
        _build(metadata, table)
    return metadata


metadata = _metadata(TABLES)
_packed = _metadata(HELD_IN.values())
