"""Dagster's own storage, in the server of the store, in a database of its own: named by dagster.yaml, nothing to set."""

from dagster import Field
from dagster._config import UserConfigSchema
from dagster._core.storage.config import PostgresStorageConfig
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from stock_assets.wiring import Installation


class StoreDagsterStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` whose URL comes from this installation's settings."""

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
