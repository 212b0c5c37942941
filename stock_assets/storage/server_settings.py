"""What the embedded server is told: good for a laptop, and nothing that makes a committed row less safe.

`fsync`, `full_page_writes` and `synchronous_commit` are PostgreSQL's own defaults, on, and do not stand here. The figures
are in `docs/maintenance.md`; `stock_assets_tests/benchmarks/server_settings.py` measures them again.
"""

import shutil
from pathlib import Path

import psutil

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (only looked at)
_ENOUGH_BYTES = 2**30


def laptop_settings(memory_bytes: int | None = None) -> dict[str, str]:
    """Return settings for a machine of so much memory, by default this one, as they stand in `postgresql.conf`."""
    memory_mb = (memory_bytes or psutil.virtual_memory().total) // 2**20
    settings = {
        # More brings nothing measurable and is missed by whatever else the machine does.
        "shared_buffers": f"{max(16, min(256, memory_mb // 4))}MB",
        "effective_cache_size": f"{max(64, memory_mb // 2)}MB",
        "maintenance_work_mem": f"{max(16, min(256, memory_mb // 16))}MB",
        "work_mem": "16MB",
        # Eight processes take 64 at most; each place costs some 20 kB.
        "max_connections": "200",
        # Room for a load of history without a checkpoint forced by volume.
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        # One server alone: what an index build writes is on disk before its commit and need not be logged as well.
        "wal_level": "minimal",
        "max_wal_senders": "0",
        # Only pglz is built in: it saves 16 MB of log a night, whose commit then takes 1.9 s instead of 0.14 s.
        "wal_compression": "off",
        # Laptops have solid state disks.
        "random_page_cost": "1.1",
        # Our queries are short, and compiling one is not.
        "jit": "off",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        "log_line_prefix": "'%m [%p] %a@%d '",
        "log_checkpoints": "off",
    }
    if _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).total < _ENOUGH_BYTES:
        # A container's small /dev/shm makes parallel queries fail; files in the data directory do not.
        settings["dynamic_shared_memory_type"] = "mmap"
    return settings
