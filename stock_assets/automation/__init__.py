"""What starts a run, and where Dagster keeps what it knows."""
