"""Days that landed, filed as materialized outside of what a step returns: a failing step returns nothing."""

from collections.abc import Mapping
from datetime import date

from dagster import AssetExecutionContext, AssetMaterialization

from stock_assets.assets.metadata import Metadata


def tell_landed(context: AssetExecutionContext, asset: str, days: Mapping[date, Metadata]) -> None:
    """File each of these days as materialized by this run, with what is true of it."""
    for day, metadata in days.items():
        told = {**metadata, "run": context.run.run_id}
        # Not `log_event`: what it is told is lost when the step then fails.
        context.instance.report_runless_asset_event(AssetMaterialization(asset, partition=str(day), metadata=told))
