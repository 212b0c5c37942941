"""A complete, correct, self-healing local store of Chinese A-share data, driven by Dagster."""
