"""Rules: frames in, verdicts out. Nothing here reads, writes or logs."""
