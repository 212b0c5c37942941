"""How complete the year before a run's last day is, as a picture beside the run's numbers."""

from datetime import date, timedelta
from typing import Final

from stock_assets.assets.metadata import Metadata
from stock_assets.assets.pictures import picture_metadata
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import completeness
from stock_assets.wiring import Installation

# Sessions of one year: two strips at most.
_SHOWN: Final = timedelta(days=365)


def coverage_metadata(store: Installation, last: date) -> Metadata:
    """Return a calendar of the bars of the year up to `last`, and what of it is missing and is nowhere to be had."""
    # What draws takes as long to import as all the rest.
    from stock_assets.charts.heat_map import HeatMap, heat_map_png  # noqa: PLC0415

    with store.database.read() as conn:
        counts = completeness.state_counts(
            conn, STOCK_DAILY.name, last - _SHOWN, last, sources=store.sources_in_use
        )  # fmt: skip
    drawn = HeatMap.of(counts, title=f"日线完整性 Completeness of {STOCK_DAILY.name}　{last - _SHOWN} 至 to {last}")
    return {
        "completeness": picture_metadata(heat_map_png(drawn), f"completeness until {last}"),
        "rows missing in a year": drawn.whole.missing + drawn.whole.rejected,
        "rows no source has in a year": int(counts["source_has_none"].sum()),
    }
