"""What a cache holds, within its bytes; it is called under the cache's lock."""

from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache

from stock_assets.serve.cache_kinds import Name


@dataclass(slots=True)
class Entry:
    """A value, and until when it is fresh, and served at all."""

    value: Any
    size: int
    fresh_until: float
    stale_until: float
    retry_at: float = 0.0
    """A refresh that failed is not tried again before."""


class Shelf(LRUCache[Name, Entry]):
    """Entries of at most `max_bytes` together; reading one makes it the most recently used."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes, getsizeof=_size_of)
        self.evictions = 0
        self.too_large = 0

    @property
    def bytes(self) -> int:
        """Return what the entries take."""
        return int(self.currsize)

    def held(self, name: Name, now: float) -> Entry | None:
        """Return the entry if it may still be served; one that may not is gone."""
        entry = self.get(name)
        if entry is not None and now >= entry.stale_until:
            del self[name]
            return None
        return entry

    def keep(self, name: Name, entry: Entry) -> None:
        """Keep the entry in the place of an older one; one that is larger than the shelf drives nobody out."""
        # Out with the old one first, or room would be made for both.
        self.pop(name, None)
        if entry.size > self.maxsize:
            self.too_large += 1
        else:
            self[name] = entry

    def popitem(self) -> tuple[Name, Entry]:
        """Make room."""
        self.evictions += 1
        return super().popitem()


def _size_of(entry: Entry) -> int:
    return entry.size
