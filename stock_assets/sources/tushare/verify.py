"""From a reply to a frame that holds what was asked for, and nothing else.

Whether values make sense is for translation and quality to judge.
"""

from datetime import timedelta

import polars as pl

from stock_assets.domain.errors import AnswerBroken
from stock_assets.sources.tushare.interfaces import TRADE_CAL, Interface
from stock_assets.sources.tushare.questions import Question
from stock_assets.sources.tushare.replies import Reply
from stock_assets.sources.tushare.transport import SOURCE


def verified(reply: Reply, question: Question) -> pl.DataFrame:
    """Return the reply's rows as a frame of text in the interface's columns; JSON's null stays null.

    Errors: `AnswerBroken` for other columns, or rows that were not asked for or come twice.
    """
    interface = question.interface
    if len(reply.fields) != len(interface.fields) or set(reply.fields) != set(interface.fields):
        raise _broken(interface, f"the columns are {', '.join(reply.fields) or 'none'}")
    columns = zip(*reply.rows, strict=True) if reply.rows else ((),) * len(reply.fields)
    frame = pl.DataFrame(
        [
            pl.Series(name, values, dtype=pl.String(), strict=True)
            for name, values in zip(reply.fields, columns, strict=True)
        ]
    ).select(interface.fields)
    problem = _problem(frame, question)
    if problem is not None:
        raise _broken(interface, problem)
    return frame


def is_cut_off(reply: Reply, cap: int | None) -> bool:
    """Return whether rows may be missing: a full answer looks like one that was cut off.

    A cap that has grown since it was measured is seen by the answer's own word alone.
    """
    full = cap is not None and len(reply.rows) == cap
    beyond = cap is not None and len(reply.rows) > cap and reply.has_more is None
    return full or beyond or reply.has_more is True


def _problem(frame: pl.DataFrame, question: Question) -> str | None:
    """Return what is wrong with the rows, the first thing that is."""
    key = question.interface.key
    if frame.height and sum(frame.select(key).null_count().row(0)):
        return "a row without its key"
    if (foreign := _foreign(frame, question)) is not None:
        return f"a row of {foreign} came that was not asked for"
    if question.interface.is_unique and frame.select(key).is_duplicated().any():
        return "a row came twice"
    if question.known_code is not None and question.known_code not in frame["ts_code"]:
        return f"no row of {question.known_code}, of which there is one: lists of codes are not honoured"
    return _calendar_problem(frame) if question.interface is TRADE_CAL else None


def _foreign(frame: pl.DataFrame, question: Question) -> str | None:
    """Return the code or day of a row that was not asked for."""
    wrong: list[tuple[str, pl.Expr]] = []
    if question.codes:
        wrong.append(("ts_code", ~pl.col("ts_code").is_in(question.codes)))
    if question.of is not None and question.day is not None:
        wrong.append((question.of, pl.col(question.of).ne_missing(f"{question.day:%Y%m%d}")))
    if question.within is not None and question.start is not None and question.end is not None:
        days = pl.col(question.within).str.to_date("%Y%m%d", strict=False)
        inside = days.is_between(question.start, question.end).fill_null(value=False)
        wrong.append((question.within, ~inside))
    for column, is_wrong in wrong:
        others = frame.filter(is_wrong)
        if others.height:
            return f"{column} '{others[column][0]}'"
    return None


def _calendar_problem(frame: pl.DataFrame) -> str | None:
    days = frame["cal_date"].str.to_date("%Y%m%d", strict=False).sort()
    if days.null_count() or (days.diff().drop_nulls() != timedelta(days=1)).any():
        return "calendar days are missing or wrong"
    return None


def _broken(interface: Interface, reason: str) -> AnswerBroken:
    return AnswerBroken(source=SOURCE, api=interface.name, reason=reason)
