"""Which exchanges' factors of which days are still to be asked for, and who has answered for a day so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from stock_assets.domain.codes import Exchange
from stock_assets.pipeline.gaps import Scope
from stock_assets.sources.base import MarketSource

# A day that a source closed which is no longer among ours: every source has these two.
_EVERYBODY_HAS = frozenset[Exchange]({"SH", "SZ"})


@dataclass(slots=True)
class OpenFactors:
    """Days with their open exchanges, and the names of those who answered for the others."""

    exchanges: dict[date, set[Exchange]] = field(default_factory=dict[date, set[Exchange]])
    answered: dict[date, set[str]] = field(default_factory=dict[date, set[str]])

    @classmethod
    def of(
        cls,
        days: Sequence[date],
        closed: Mapping[date, set[str]],
        securities: pl.DataFrame,
        sources: Sequence[MarketSource],
    ) -> "OpenFactors":
        """Return what is open of `days`; `closed` names the sources that closed a day in the ledger.

        An exchange that no source of ours has is never open, and one that only a later source has from its first listing.
        """
        first_listing = dict(securities.group_by("exchange").agg(pl.col("list_date").min()).iter_rows())
        of_name = {source.name: source.exchanges for source in sources}
        found = cls()
        for day in sorted(days):
            wanted = set(sources[0].exchanges)
            for source in sources[1:]:
                wanted |= {name for name in source.exchanges if first_listing.get(name, date.max) <= day}
            names = closed.get(day, set())
            for name in names:
                wanted -= of_name.get(name, _EVERYBODY_HAS)
            if wanted:
                found.exchanges[day] = wanted
                found.answered[day] = set(names)
        return found

    def within(self, scope: Scope) -> dict[date, frozenset[Exchange]]:
        """Return the days, in order, of which something of this scope is open, with what that is."""
        parts = {day: frozenset(names & (scope.own | scope.shared)) for day, names in self.exchanges.items()}
        return {day: part for day, part in parts.items() if part}

    def close(self, day: date, part: frozenset[Exchange], source: str) -> None:
        """Note that `source` answered for these exchanges of a day."""
        self.exchanges[day] -= part
        self.answered[day].add(source)
