"""What the embedded server is told: good for a laptop, and nothing that makes a committed row less safe."""

import shutil
from pathlib import Path

import psutil

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (only looked at)
_ENOUGH_BYTES = 2**30


def laptop_settings() -> dict[str, str]:
    """Return settings for this machine's memory, each value as it stands in `postgresql.conf`."""
    memory_mb = psutil.virtual_memory().total // 2**20
    settings = {
        "shared_buffers": f"{max(16, min(256, memory_mb // 4))}MB",
        "effective_cache_size": f"{max(64, memory_mb // 2)}MB",
        "maintenance_work_mem": f"{max(16, min(256, memory_mb // 16))}MB",
        "work_mem": "16MB",
        "max_connections": "200",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "on",
        "random_page_cost": "1.1",
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
