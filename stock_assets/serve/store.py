"""The store as people ask for it: codes in every common form, days and moments as values or as the command line takes them.

How it is read is in `storage.reader`. Imports that cost time wait for the first use.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from stock_assets.domain.calendar import SHANGHAI, parse_day, parse_moment
from stock_assets.domain.codes import parse_code

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from stock_assets.domain.adjustment import Adjust
    from stock_assets.serve.cached_reads import CachedReads
    from stock_assets.storage.reader import ArrowStream, ArrowTable, Order
    from stock_assets.storage.technicals_question import PriceLevel
    from stock_assets.wiring import Installation

Codes = str | Iterable[str]
Day = date | str
Moment = datetime | date | str
_SNAPSHOT_ID = re.compile("[0-9a-f]{16}")


class Store:
    """The rows of one installation. Close it, or leave its context, to hand the embedded server back.

    `codes`: one or several, such as `"600000"`, `"sh.600000"`, `["600000.SH", "000001.SZ"]`; None is every stock. Days are
    `date` or text such as `"2026-11-20"` and `"20261120"`, both ends belong to the range and None is no limit. `as_of` is a
    `datetime`, or text such as `"2026-11-20T18:30"`, without a zone in Shanghai time; a day means its end.

    Threads may share a store. `cached` is its cache, None without one; `cached.stats()` are its counters. Errors are those of
    `storage.reader.Reader`; all are `domain.errors.StockAssetsError`.
    """

    def __init__(self, installation: "Installation", *, cached: "CachedReads | None" = None) -> None:
        self._installation = installation
        self._reader = installation.reader()
        self._snapshots = installation.snapshot_reader()
        self.cached = cached

    def __enter__(self) -> Self:
        """Return the store; leaving the context closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Return where it is, without a password."""
        settings = self._installation.settings
        return f"Store({str(settings.home) if settings.database_url is None else 'STOCK_ASSETS_DATABASE_URL'!r})"

    def close(self) -> None:
        """Close every connection, and stop the embedded server when nobody else uses it."""
        if self.cached is not None:
            self.cached.close()
        self._installation.close()

    def bars(  # noqa: PLR0913  each narrows the slice
        self,
        codes: Codes | None = None,
        start: Day | None = None,
        end: Day | None = None,
        *,
        adjust: "Adjust" = "none",
        anchor: Day | None = None,
        as_of: Moment | None = None,
        columns: Sequence[str] | None = None,
    ) -> "pl.DataFrame":
        """Return daily bars by code and day, with the `adjust_factor` that was applied to the prices.

        `adjust`: `none`, `hfq` (back-adjusted), or `qfq` (forward-adjusted), which needs the day `anchor` whose prices
        stay as they were traded. Of a store with a cache, one stock's bars and those of a market day come from it, unless
        they are asked for as of a moment.
        """
        chosen = _codes(codes)
        if self.cached is not None and as_of is None:
            from stock_assets.storage.bars_question import BarsQuestion  # noqa: PLC0415  as in the module's docstring

            question = BarsQuestion(
                start=_day(start),
                end=_day(end),
                adjust=adjust,
                anchor=_day(anchor),
                columns=None if columns is None else tuple(columns),
            )
            if (found := self.cached.bars(chosen, question)) is not None:
                return found
        return self._reader.bars(
            chosen,
            _day(start),
            _day(end),
            adjust=adjust,
            anchor=_day(anchor),
            as_of=_moment(as_of),
            columns=columns,
        )

    def universe(self, day: Day) -> "pl.DataFrame":
        """Return the stocks listed on a day by code, those that have left since included, each security once.

        `ts_code` is the code of that day, `security_code` the newest; `is_st` and `is_suspended` are the day's own, null
        where the store has no bar of it.
        """
        return self._reader.universe(_one_day(day))

    def coverage(self, start: Day, end: Day, *, dataset: str = "stock_daily") -> "pl.DataFrame":
        """Return of each session of [start, end] how many rows are expected, and what became of them.

        The states are `present`, `suspended`, `not_listed`, `source_has_none`, `rejected` and `missing`; `dataset` may also
        be `adjust_factor`, `technical_daily`, `finance_indicator` and `cache_snapshot`.
        """
        from stock_assets.storage import completeness  # noqa: PLC0415  as in the module's docstring

        installation, first, last = self._installation, _one_day(start), _one_day(end)
        with installation.database.read() as conn:
            return completeness.state_counts(conn, dataset, first, last, sources=installation.sources_in_use)

    def gaps(self, start: Day, end: Day, *, dataset: str = "stock_daily", with_none: bool = False) -> "pl.DataFrame":
        """Return ts_code, trade_date and state of every row that is missing or was rejected, by day and code.

        Those that no source has come `with_none` too. A code is null where a whole day is meant.
        """
        import polars as pl  # noqa: PLC0415  as in the module's docstring

        from stock_assets.storage import completeness  # noqa: PLC0415  as in the module's docstring

        installation, first, last = self._installation, _one_day(start), _one_day(end)
        sources = installation.sources_in_use
        with installation.database.read() as conn:
            gaps = completeness.open_gaps(conn, dataset, first, last, sources=sources)
            if not with_none:
                return gaps
            none = completeness.no_source_has(conn, dataset, first, last, sources=sources)
        return pl.concat([gaps, none]).sort("trade_date", "ts_code")

    def whole_life(  # noqa: PLR0913  as `bars`
        self,
        codes: Codes,
        start: Day | None = None,
        end: Day | None = None,
        *,
        adjust: "Adjust" = "none",
        anchor: Day | None = None,
        as_of: Moment | None = None,
    ) -> "pl.DataFrame":
        """Return bars of securities over their whole lives, whatever code they traded under; any of their codes will do.

        Each is one series under its newest code; `traded_as` is the code of the day. Else as `bars`.
        """
        return self._reader.whole_lives(
            _codes(codes) or [], _day(start), _day(end), adjust=adjust, anchor=_day(anchor), as_of=_moment(as_of)
        )

    def technicals(  # noqa: PLR0913  as `bars`
        self,
        codes: Codes | None = None,
        start: Day | None = None,
        end: Day | None = None,
        *,
        adjust: "PriceLevel" = "hfq",
        anchor: Day | None = None,
        columns: Sequence[str] | None = None,
    ) -> "pl.DataFrame":
        """Return technical indicators by code and day; there is no row for days on which a stock did not trade.

        `adjust`: `hfq` (back-adjusted, as they are stored) or `qfq`, which needs the `anchor` as `bars` does; what does not
        scale with prices is the same in both.
        """
        return self._reader.technicals(
            _codes(codes), _day(start), _day(end), adjust=adjust, anchor=_day(anchor), columns=columns
        )

    def finance(
        self,
        codes: Codes | None = None,
        start: Day | None = None,
        end: Day | None = None,
        *,
        as_of: Moment | None = None,
        columns: Sequence[str] | None = None,
    ) -> "pl.DataFrame":
        """Return of each report the newest version, by code and period; `start` and `end` are last days of periods.

        With `as_of`, what a reader could know on that day before the market opened: every row's `known_from` is at most that
        day. Without, the newest versions that are stored. `table("finance_indicator")` has all of them.
        """
        return self._reader.finance(_codes(codes), _day(start), _day(end), as_of=_moment(as_of), columns=columns)

    def read_snapshot(self, day: Day, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Return a day's ready-made snapshot: one row for each stock listed, by code, with all that was known at its close.

        `day` is a trading day, or a snapshot's id such as `"0123456789abcdef"`, which reads the same for ever. Prices are as
        traded, indicators forward-adjusted to the day, finance is the newest report known on it. Of some `columns` only
        theirs are read.
        """
        of = _snapshot(day)
        if self.cached is not None and columns is None and not isinstance(of, str):
            return self.cached.snapshot(of)
        return self._snapshots.read(of, columns)

    def snapshot_arrow(self, day: Day, columns: Sequence[str] | None = None) -> "ArrowTable":
        """Return the same as a `pyarrow.Table`; its fields carry comment and unit, its schema id, inputs and code version."""
        return self._snapshots.arrow(_snapshot(day), columns)

    def snapshots(self, start: Day | None = None, end: Day | None = None) -> "pl.DataFrame":
        """Return which snapshots there are of [start, end], the newest day first: id, rows, size, and why there is each."""
        return self._snapshots.listed(_day(start), _day(end))

    def table(  # noqa: PLR0913  as `bars`
        self,
        name: str,
        codes: Codes | None = None,
        start: Day | None = None,
        end: Day | None = None,
        *,
        as_of: Moment | None = None,
        columns: Sequence[str] | None = None,
    ) -> "pl.DataFrame":
        """Return rows of a table of the store in key order, such as `security` or `load_ledger`."""
        import polars as pl  # noqa: PLC0415  as in the module's docstring

        return pl.DataFrame(self.arrow(name, codes, start, end, as_of=as_of, columns=columns))

    def arrow(  # noqa: PLR0913  as `bars`
        self,
        name: str,
        codes: Codes | None = None,
        start: Day | None = None,
        end: Day | None = None,
        *,
        as_of: Moment | None = None,
        columns: Sequence[str] | None = None,
        order: "Order" = "key",
    ) -> "ArrowTable":
        """Return the same as a `pyarrow.Table`; `order="none"` is faster for a whole table."""
        return self._reader.arrow(
            name,
            columns=columns,
            ts_codes=_codes(codes),
            start=_day(start),
            end=_day(end),
            as_of=_moment(as_of),
            order=order,
        )

    def batches(  # noqa: PLR0913  as `bars`
        self,
        name: str,
        codes: Codes | None = None,
        start: Day | None = None,
        end: Day | None = None,
        *,
        as_of: Moment | None = None,
        columns: Sequence[str] | None = None,
        order: "Order" = "key",
    ) -> AbstractContextManager["ArrowStream"]:
        """Give the same as a `pyarrow.RecordBatchReader`, for results larger than memory; leave the context to stop it."""
        return self._reader.batches(
            name,
            columns=columns,
            ts_codes=_codes(codes),
            start=_day(start),
            end=_day(end),
            as_of=_moment(as_of),
            order=order,
        )


def open_store(*, cache: bool = False) -> Store:
    """Return the store that settings and environment name; the embedded server is started when that is the store.

    With `cache`, for a program that answers many readers, what is asked most is kept in memory as settings `CACHE_…` say,
    and the most asked stocks of earlier times are loaded in the background.

    Errors: `ConfigurationError` for settings that cannot be used, `StoreUnavailable` when the server cannot be reached.
    """
    from stock_assets.wiring import Installation  # noqa: PLC0415  it brings the database's driver

    installation = Installation()
    try:
        if not cache:
            return Store(installation)
        from stock_assets.serve.open_cache import open_cache  # noqa: PLC0415  most programs need none

        return Store(installation, cached=open_cache(installation, snapshots=installation.snapshot_reader()))
    except BaseException:
        installation.close()
        raise


def read_snapshot(day: Day, columns: Sequence[str] | None = None) -> "pl.DataFrame":
    """Return what `Store.read_snapshot` does, of the store that settings name, opened for this call.

    Whoever reads more than one opens the store once.
    """
    with open_store() as store:
        return store.read_snapshot(day, columns)


def pivot(frame: "pl.DataFrame", values: str = "close") -> "pl.DataFrame":
    """Return one row per trade_date and one column per ts_code of a long frame; null where there is no bar."""
    from stock_assets.storage import reader  # noqa: PLC0415  as in the module's docstring

    return reader.pivot(frame, values)


def to_pandas(rows: "pl.DataFrame | ArrowTable", *, dtypes: Literal["arrow", "numpy"] = "arrow") -> "pd.DataFrame":
    """Return a polars frame or an Arrow table as a pandas frame.

    With `dtypes="arrow"` every column keeps its type and its nulls, and numbers are not copied. With `"numpy"` columns are
    what most pandas code expects: a whole number with nulls becomes a float, a missing one NaN, a day a Python `date`.
    """
    import polars as pl  # noqa: PLC0415  as in the module's docstring

    table: Any = rows
    if isinstance(rows, pl.DataFrame):
        # pandas has no words yet for the newest kind of text column.
        table = cast("Any", rows).to_arrow(compat_level=pl.CompatLevel.oldest())
    if dtypes == "numpy":
        return table.to_pandas()
    import pandas as pd  # noqa: PLC0415  as in the module's docstring

    return table.to_pandas(types_mapper=pd.ArrowDtype)


def _codes(codes: Codes | None) -> list[str] | None:
    if codes is None:
        return None
    return [parse_code(code) for code in ([codes] if isinstance(codes, str) else codes)]


def _snapshot(day: Day) -> date | str:
    """Return a day, or a snapshot's id as it is."""
    if isinstance(day, str):
        return day.strip() if _SNAPSHOT_ID.fullmatch(day.strip()) else parse_day(day)
    return day.date() if isinstance(day, datetime) else day


def _day(day: Day | None) -> date | None:
    return None if day is None else _one_day(day)


def _one_day(day: Day) -> date:
    if isinstance(day, str):
        return parse_day(day)
    # A moment, such as pandas' own, is a date to Python as well.
    return day.date() if isinstance(day, datetime) else day


def _moment(moment: Moment | None) -> datetime | None:
    if moment is None or isinstance(moment, str):
        return None if moment is None else parse_moment(moment)
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time.max, tzinfo=SHANGHAI)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=SHANGHAI)
