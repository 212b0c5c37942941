"""From an HTTP answer to rows of text that certainly are an answer: nothing broken passes for an empty table.

Numbers stay the text that was sent, so that nothing is rounded. Whether the rows are those that were asked for is checked
in `verify`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from stock_assets.domain.errors import AnswerBroken, SourceUnavailable
from stock_assets.sources.tushare.refusals import error_for
from stock_assets.sources.tushare.transport import SOURCE, HttpAnswer

_OK: Final = 200
_SUCCESS: Final = "0"
_SHOWN: Final = 80
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"
_MOST_REPLACED: Final = 0.1

Cell = str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer: column names, and rows of as many texts or nulls.

    `has_more` is None where the answer does not say whether the rows are all there are.
    """

    fields: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    has_more: bool | None = None


def read(answer: HttpAnswer, *, api: str, hide: Callable[[str], str] = str) -> Reply:
    """Return the rows of an answer; `hide` masks what must not be seen in an error's words.

    Errors: `SourceUnavailable` for an HTTP error, `AnswerBroken` for what is not an answer, the error of a refusal.
    """

    def broken(reason: str) -> AnswerBroken:
        return AnswerBroken(source=SOURCE, api=api, reason=reason)

    if answer.status != _OK:
        raise SourceUnavailable(source=SOURCE, api=api, reason=f"HTTP {answer.status}", status=answer.status)
    if not answer.body.strip():
        raise broken("an answer without a body")
    try:
        # A number that is no JSON, such as NaN, arrives as text too: no column of numbers can read it.
        said = _members(json.loads(answer.body, parse_float=str, parse_int=str, parse_constant=str))
    except (ValueError, RecursionError):
        raise broken(f"no JSON but {hide(_beginning(answer))}") from None
    code = said.get("code")
    if not isinstance(code, str):
        raise broken("an answer without a code")
    if code != _SUCCESS:
        text = said.get("msg")
        raise error_for(hide(code), hide(text) if isinstance(text, str) else "", api=api)
    data = _members(said.get("data"))
    fields, items = data.get("fields"), data.get("items")
    if not isinstance(fields, list) or not isinstance(items, list):
        raise broken("success without columns and rows")
    names = cast("list[object]", fields)
    if not all(isinstance(name, str) for name in names):
        raise broken("a column without a name")
    rows = _rows(cast("list[object]", items), len(names), broken)
    has_more = data.get("has_more")
    return Reply(tuple(map(str, names)), rows, has_more if isinstance(has_more, bool) else None)


def _rows(items: list[object], width: int, broken: Callable[[str], AnswerBroken]) -> tuple[tuple[Cell, ...], ...]:
    rows: list[tuple[Cell, ...]] = []
    for item in items:
        if not isinstance(item, list):
            raise broken("a row is no row")
        row = tuple(cast("list[Cell]", item))
        if len(row) != width:
            raise broken("a row has not as many values as there are columns")
        if any(value is not None and type(value) is not str for value in row):
            raise broken("a value is neither text nor number")
        rows.append(row)
    return tuple(rows)


def _members(value: object) -> dict[str, object]:
    """Return the members of an object, none where it is none."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _beginning(answer: HttpAnswer) -> str:
    """Return the first words of a text, or that it is none: what is no text must not reach a terminal."""
    text = answer.body[: 4 * _SHOWN].decode("utf-8", errors="replace")
    shown = " ".join(text.split())[:_SHOWN]
    is_text = shown.isprintable() and shown.count(_REPLACED) < _SHOWN * _MOST_REPLACED
    return f"“{shown}”" if is_text else f"{len(answer.body)} bytes that are no text"
