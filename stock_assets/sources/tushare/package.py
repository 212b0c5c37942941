"""The official package's own `DataApi`, alone and private: it makes each request, and our transport carries it.

Importing the package costs a third of a second and 90 modules for 60 lines, so that file is loaded by itself. What it
imports is replaced: `requests` by our transport, which has checked the answer before the package sees it; `json` and
`pandas`, which would round numbers and lose the error's code, by pieces that hand the checked answer on. Nothing in
`sys.modules` is touched: `import tushare` elsewhere stays as it is.
"""

import builtins
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from types import CodeType, ModuleType
from typing import Any, TypeVar

_CLIENT = ("tushare", "pro", "client")
_URL = "_DataApi__http_url"

ReplyT = TypeVar("ReplyT")
Body = Mapping[str, object]
"""A request as the package makes it: api_name, token, params and fields."""


def data_api(token: str, url: str, post: Callable[[str, Body], ReplyT]) -> Callable[..., ReplyT]:
    """Return the package's `query(api_name, fields, **params)`, which gives what `post` returned for its request.

    `post` gets the address that the package made of `url` and the interface's name, and the request's body; what it
    raises passes through.
    """
    module = _private_module(post)
    api = module.DataApi(token)
    setattr(api, _URL, url)
    return api.query


class _Carried:
    """An answer on its way through the package, which asks it for its truth, its text and its parts."""

    def __init__(self, reply: object) -> None:
        self.text = self
        self.reply = reply


def _private_module(post: Callable[[str, Body], object]) -> Any:  # noqa: ANN401 - a module has no type
    def carry(url: str, *, json: Body, timeout: float) -> _Carried:  # noqa: ARG001 - deadlines are the transport's
        return _Carried(post(url, json))

    def parts(carried: _Carried) -> dict[str, object]:
        return {"code": 0, "data": {"fields": (), "items": carried.reply}}

    def hand_on(items: object, columns: object) -> object:  # noqa: ARG001 - the package's arguments
        return items

    stand_ins = {
        "requests": _module("requests", post=carry),
        "json": _module("json", loads=parts),
        "pandas": _module("pandas", DataFrame=hand_on),
    }

    def import_(
        name: str,
        globals_: Mapping[str, object] | None = None,
        locals_: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        return stand_ins.get(name) or builtins.__import__(name, globals_, locals_, fromlist or (), level)

    name = ".".join(_CLIENT)
    path = _path()
    spec = spec_from_file_location(name, path)
    if spec is None:
        raise ModuleNotFoundError(name=name)
    module = module_from_spec(spec)
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": import_}
    exec(_code(path), vars(module))  # noqa: S102 - a module of an installed package, loaded as the import system would
    return module


@cache
def _path() -> str:
    """Return where the package keeps its client, without importing the package."""
    places: Sequence[str] | None = None
    for depth in range(1, len(_CLIENT)):
        spec = PathFinder.find_spec(".".join(_CLIENT[:depth]), places)
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError(name=_CLIENT[0])
        places = list(spec.submodule_search_locations)
    spec = PathFinder.find_spec(".".join(_CLIENT), places)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name=".".join(_CLIENT))
    return spec.origin


@cache
def _code(path: str) -> CodeType:
    code = SourceFileLoader(".".join(_CLIENT), path).get_code(".".join(_CLIENT))
    if code is None:
        raise ModuleNotFoundError(name=".".join(_CLIENT))
    return code


def _module(name: str, **members: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module
