"""Dagster's own storage, in the server of the store, in a database of its own: named by dagster.yaml, nothing to set."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

from dagster import AssetKey, DagsterEventType, EventLogEntry, Field
from dagster._config import UserConfigSchema
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.config import PostgresStorageConfig
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._serdes import ConfigurableClassData, serialize_value
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.event_log import PostgresEventLogStorage

from stock_assets.wiring import Installation


class StoreEventLog(PostgresEventLogStorage):
    """`PostgresEventLogStorage` that also writes what a run plans in batches, and small.

    A run over 35 years plans 26,000 materializations and as many verdicts. Dagster writes the former one by one and with
    each of the latter the whole range and every holiday: minutes, and hundreds of megabytes, before the first request.
    """

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Write events of types that Dagster writes in batches; planned ones asset by asset, each as one batch."""
        for (kind, asset_key), group in groupby(events, key=_kind_and_asset):
            batch = list(group)
            if kind == DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value and asset_key is not None:
                with self._connect() as conn:
                    result = conn.execute(self.prepare_insert_event_batch(batch))
                    result.close()
                # Dagster's record of an asset keeps the newest run alone.
                self.store_asset_event(batch[-1], 0)
            else:
                super().store_event_batch(batch)

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
