"""Dagster's own storage, in the server of the store, in a database of its own: named by dagster.yaml, nothing to set."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby

import sqlalchemy as sa
from dagster import AssetCheckEvaluation, AssetKey, DagsterEventType, EventLogEntry, Field
from dagster._config import UserConfigSchema
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.config import PostgresStorageConfig
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData, serialize_value
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.event_log import PostgresEventLogStorage

from stock_assets.wiring import Installation

# A process of Dagster keeps one connection for its log; more are opened for a moment when its threads need them.
_MOST_CONNECTIONS = 20


class StoreEventLog(PostgresEventLogStorage):
    """`PostgresEventLogStorage` that also writes plans and verdicts in batches, and small, over a connection it keeps.

    A run over 35 years plans 26,000 materializations and as many verdicts. Dagster writes the former one by one and with
    each of the latter the whole range and every holiday: minutes, and hundreds of megabytes, before the first request.
    And it connects three times for the verdict on one day, which takes longer than judging it.
    """

    def __init__(self, postgres_url: str, should_autocreate_tables: bool) -> None:  # noqa: FBT001  Dagster's own order
        """Connect, making the tables where they are absent."""
        super().__init__(postgres_url, should_autocreate_tables)
        self._engine.dispose()
        # Checked before each use: the server may have been restarted meanwhile.
        self._engine = sa.create_engine(
            postgres_url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=_MOST_CONNECTIONS, pool_pre_ping=True
        )

    def dispose(self) -> None:
        """Let go of what is open."""
        super().dispose()
        self._engine.dispose()

    @cached_property
    def supports_asset_checks(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]  asked for every verdict
        """Return whether there are tables for verdicts."""
        return self.has_table(AssetCheckExecutionsTable.name)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Write events of types that Dagster writes in batches, and verdicts; asset by asset, each as one batch."""
        for (kind, asset_key), group in groupby(events, key=_kind_and_asset):
            batch = list(group)
            if kind == DagsterEventType.ASSET_CHECK_EVALUATION.value:
                self._store_verdicts(batch)
            elif kind == DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value and asset_key is not None:
                with self._connect() as conn:
                    result = conn.execute(self.prepare_insert_event_batch(batch))
                    result.close()
                # Dagster's record of an asset keeps the newest run alone.
                self.store_asset_event(batch[-1], 0)
            else:
                super().store_event_batch(batch)

    def _store_verdicts(self, events: Sequence[EventLogEntry]) -> None:
        """Write verdicts of one run on days of their own, in the place of what it had planned for these days."""
        told = [event.get_dagster_event().event_specific_data for event in events]
        verdicts = [one for one in told if isinstance(one, AssetCheckEvaluation)]
        table, first = AssetCheckExecutionsTable, verdicts[0]
        with self.index_transaction() as conn:
            inserted = self.prepare_insert_event_batch(events).returning(SqlEventLogStorageTable.c.id)
            # In the order in which they are given: the numbers are taken one after the other.
            ids = sorted(conn.scalars(inserted))
            conn.execute(
                table.delete().where(
                    table.c.asset_key == first.asset_key.to_string(),
                    table.c.check_name == first.check_name,
                    table.c.run_id == events[0].run_id,
                    table.c.partition.in_([one.partition for one in verdicts]),
                )
            )
            rows = [
                {
                    "asset_key": verdict.asset_key.to_string(),
                    "check_name": verdict.check_name,
                    "partition": verdict.partition,
                    "run_id": event.run_id,
                    "execution_status": _status_of(verdict).value,
                    "evaluation_event": serialize_value(event),
                    "evaluation_event_timestamp": datetime.fromtimestamp(event.timestamp, UTC).replace(tzinfo=None),
                    "evaluation_event_storage_id": event_id,
                }
                for event, verdict, event_id in zip(events, verdicts, ids, strict=True)
            ]
            conn.execute(table.insert(), rows)

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        told = event.get_dagster_event()
        planned = told.event_specific_data
        if not isinstance(planned, AssetCheckEvaluationPlanned) or planned.partitions_subset is None:
            super()._store_asset_check_evaluation_planned(event, event_id)
            return
        plain = AssetCheckEvaluationPlanned(
            asset_key=planned.asset_key, check_name=planned.check_name, partitions_subset=None
        )
        alone = event._replace(dagster_event=told._replace(event_specific_data=plain))
        row = {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "run_id": event.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": serialize_value(alone),
            "evaluation_event_timestamp": datetime.fromtimestamp(event.timestamp, UTC).replace(tzinfo=None),
            "evaluation_event_storage_id": event_id,
        }
        keys = planned.partitions_subset.get_partition_keys()
        with self.index_connection() as conn:
            conn.execute(AssetCheckExecutionsTable.insert(), [{**row, "partition": key} for key in keys])


def _kind_and_asset(event: EventLogEntry) -> tuple[str, AssetKey | None]:
    told = event.get_dagster_event()
    return told.event_type_value, told.asset_key


def _status_of(verdict: AssetCheckEvaluation) -> AssetCheckExecutionRecordStatus:
    return AssetCheckExecutionRecordStatus.SUCCEEDED if verdict.passed else AssetCheckExecutionRecordStatus.FAILED


class StoreDagsterStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` whose URL comes from this installation's settings."""

    def __init__(
        self, postgres_url: str, *, should_autocreate_tables: bool, inst_data: ConfigurableClassData | None
    ) -> None:
        """Connect, making the tables where they are absent."""
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        self._event_log_storage = StoreEventLog(postgres_url, should_autocreate_tables)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return no configuration: the settings decide."""
        return {"should_autocreate_tables": Field(bool, is_required=False, default_value=True)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> "StoreDagsterStorage":
        """Start or find the server, make the database, and return the storage on it."""
        return cls(
            Installation().dagster_url(),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
        )
