"""Kernels are compiled where numba is there, and run as they are written, on NumPy alone, where it is not.

Both give the same bits: no kernel may use a sum whose order of additions NumPy chooses (`numpy.sum`, `mean`, `cumsum`),
and nothing is compiled with fast-math. A compiled kernel is kept on disk, beside its file or in the user's cache folder,
so that it is compiled once for each installation.
"""

from collections.abc import Callable
from hashlib import sha256
from importlib.util import find_spec
from types import CodeType, FunctionType
from typing import Any, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])

HAS_COMPILER = find_spec("numba") is not None


def compiled(function: _Function) -> _Function:
    """Return `function` compiled on its first call, free of Python's global lock; without numba, the function itself."""
    return _compiled(function, is_called_by_python=True)


def compiled_part(function: _Function) -> _Function:
    """Return `function` compiled for other compiled functions only, which takes less time; without numba, itself."""
    return _compiled(function, is_called_by_python=False)


def compiled_or(whole_arrays: _Function) -> Callable[[_Function], _Function]:
    """Return a decorator of parts: a loop over rows compiled; without numba `whole_arrays`, which gives the same bits.

    A compiled loop over rows is quick to compile and to run; by Python alone it would take a microsecond a row.
    """

    def choose(loop: _Function) -> _Function:
        return compiled_part(loop) if HAS_COMPILER else whole_arrays

    return choose


def _compiled(function: _Function, *, is_called_by_python: bool) -> _Function:
    if not HAS_COMPILER:
        return function
    import numba  # noqa: PLC0415  absent on some machines

    # A division by zero gives infinity or NaN, as in NumPy, and never an error half-way through a market.
    compile_it = cast("Any", numba).njit(
        nogil=True, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=not is_called_by_python
    )
    dispatcher = compile_it(function)
    dispatcher._cache = _cache_of(function)  # noqa: SLF001  what `cache=True` does, with a key of our own
    return cast("_Function", dispatcher)


def _cache_of(function: Callable[..., Any]) -> object:
    """Return numba's cache of a function, told apart by all code that is compiled into it.

    numba itself looks at the function's own file only: a helper or a constant changed elsewhere would go unnoticed.
    """
    from numba.core.caching import FunctionCache  # noqa: PLC0415  as numba

    class Cache(FunctionCache):
        def _index_key(self, sig: object, codegen: object) -> Any:  # noqa: ANN401  numba's key, and ours
            key = cast("Any", super())._index_key(sig, codegen)  # noqa: SLF001  there is no public place for it
            return (*key, digest_of(function))

    return Cache(function)


def digest_of(function: Callable[..., Any]) -> str:
    """Return a digest of a function's code and of what it refers to: constants, and functions with all of theirs."""
    found = sha256()
    _digest(cast("Any", function), found.update, set())
    return found.hexdigest()


def _digest(function: Any, add: Callable[[bytes], None], seen: set[int]) -> None:  # noqa: ANN401  compiled or not
    python: FunctionType = getattr(function, "py_func", function)
    if id(python) in seen:
        return
    seen.add(id(python))
    codes = [python.__code__]
    while codes:
        code = codes.pop()
        add(code.co_code)
        add(repr([constant for constant in code.co_consts if not isinstance(constant, CodeType)]).encode())
        add(repr(code.co_names).encode())
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for name in code.co_names:
            value: object = python.__globals__.get(name)
            if isinstance(value, int | float | str | tuple):
                add(repr((name, cast("object", value))).encode())
            elif isinstance(getattr(value, "py_func", value), FunctionType):
                _digest(value, add, seen)
