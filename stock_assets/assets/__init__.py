"""Dagster's names for things: assets, partitions, resources and checks. Bodies are short and call `pipeline`."""
