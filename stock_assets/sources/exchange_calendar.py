"""The exchanges' own calendar: sessions of XSHG from the library exchange_calendars.

Shanghai and Shenzhen share one calendar. The library costs seconds to import, so its answer is kept in a small file
named after the library's version; the file is only a copy and may be deleted at any time.
"""

import json
import os
import warnings
from datetime import date
from importlib.metadata import version
from pathlib import Path

from stock_assets.domain.calendar import FIRST_SESSION, TradingCalendar


def exchange_calendar(cache_folder: Path) -> TradingCalendar:
    """Return the sessions from 1990-12-19 to the last day the library knows."""
    path = cache_folder / f"xshg-{version('exchange-calendars')}.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return TradingCalendar.of(
            map(date.fromisoformat, kept["sessions"]), known_until=date.fromisoformat(kept["known_until"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        # Absent or damaged: the library is the truth, the file is made again.
        calendar = _from_library()
    _keep(path, calendar)
    return calendar


def _from_library() -> TradingCalendar:
    import exchange_calendars  # noqa: PLC0415  costs seconds, and the kept copy usually does

    with warnings.catch_warnings():
        # The library warns about the next pandas with every calendar it builds; nobody here can act on that.
        warnings.simplefilter("ignore")
        library = exchange_calendars.get_calendar("XSHG", start=FIRST_SESSION.isoformat())
    sessions = [day.date() for day in library.sessions]
    bound = library.bound_max()
    known_until = bound.date() if bound is not None else sessions[-1]
    return TradingCalendar.of(sessions, known_until=min(known_until, date(sessions[-1].year, 12, 31)))


def _keep(path: Path, calendar: TradingCalendar) -> None:
    text = json.dumps(
        {"sessions": [day.isoformat() for day in calendar.sessions], "known_until": calendar.known_until.isoformat()}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
