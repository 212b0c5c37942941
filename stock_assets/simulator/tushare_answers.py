"""A request's body in, the answer's bytes out: parameters, pages, caps and columns, as measured on the live service.

The cap drops the oldest rows with code 0; `has_more` says that as many rows came as were allowed, so it can be true with
nothing left; `count` is always 0.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, cast

from stock_assets.simulator.tushare_base import SERVICES, Row, Service
from stock_assets.simulator.tushare_limits import LIST_TOO_LONG, UNKNOWN_INTERFACE, RefusalError, missing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from stock_assets.simulator.tushare_base import Cell, TushareMarket

_LONGEST_LIST: Final = 1000
_REQUEST_ID: Final = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was understood; parameters without a value are left out, and so is `ts_type_name`."""

    api: str
    token: str
    params: dict[str, str]
    fields: tuple[str, ...]

    @classmethod
    def read(cls, body: bytes) -> Request:
        """Return the request of a body; anything that cannot be read is empty."""
        try:
            said = json.loads(body)
        except ValueError:
            said = None
        members = cast("dict[str, object]", said) if isinstance(said, dict) else {}
        given = members.get("params")
        params = cast("dict[str, object]", given) if isinstance(given, dict) else {}
        return cls(
            str(members.get("api_name") or ""),
            str(members.get("token") or ""),
            {name: str(value) for name, value in params.items() if value not in {None, ""} and name != "ts_type_name"},
            tuple(name.strip() for name in str(members.get("fields") or "").split(",") if name.strip()),
        )

    def service(self) -> Service:
        """Return the interface that is asked; raise `RefusalError` when there is none or a parameter is missing."""
        service = SERVICES.get(self.api)
        if service is None:
            raise RefusalError(*UNKNOWN_INTERFACE)
        if service.needs and not any(name in self.params for name in service.needs):
            raise missing(service.needs[0])
        if self.params.get("ts_code", "").count(",") >= _LONGEST_LIST:
            raise RefusalError(*LIST_TOO_LONG)
        return service


@dataclass(frozen=True, slots=True)
class Answer:
    """Column names and rows of a successful answer."""

    fields: tuple[str, ...]
    rows: Sequence[Row]
    has_more: bool = False

    def body(self) -> bytes:
        """Return the answer's JSON."""
        return body_of({"fields": self.fields, "items": self.rows, "has_more": self.has_more, "count": 0})


def body_of(data: object, *, code: int = 0, text: str | None = "") -> bytes:
    """Return an answer's JSON around its data."""
    said = {"request_id": _REQUEST_ID, "code": code, "data": data, "msg": text, "detail": ""}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def refusal(error: RefusalError) -> bytes:
    """Return the JSON of a refusal; its HTTP status is 200."""
    return body_of(None, code=error.code, text=error.text)


def answer(  # noqa: PLR0913  what decides about an answer
    market: TushareMarket, service: Service, request: Request, known: date, *, cap: int | None, shuffle: int | None
) -> Answer:
    """Return what the market has; `cap` is the interface's, and with `shuffle` later pages come in another order."""
    offset, limit = _number(request.params.get("offset")) or 0, _number(request.params.get("limit"))
    allowed = min((value for value in (cap, limit) if value is not None), default=None)
    if "," in request.params.get("ts_code", "") and not service.takes_lists:
        rows: list[Row] = []
    elif shuffle is not None and offset:
        rows = list(market.rows(service, request.params, known))
        random.Random(shuffle).shuffle(rows)  # noqa: S311  repeatable, no secret
        rows = rows[offset : None if allowed is None else offset + allowed]
    else:
        found = market.rows(service, request.params, known)
        rows = list(islice(found, offset, None if allowed is None else offset + allowed))
    names = tuple(name for name in request.fields if name in service.fields)
    names = names or tuple(name for name in service.fields if name not in service.hidden)
    places = [service.fields.index(name) for name in names]
    chosen: list[Sequence[Cell]] = [[row[place] for place in places] for row in rows]
    return Answer(names, chosen, has_more=allowed is not None and len(rows) == allowed)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
