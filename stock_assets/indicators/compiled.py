"""Kernels are compiled for many rows; for few, and where numba is not there, they run as they are written, on NumPy alone.

Both give the same bits: no kernel may use a sum whose order of additions NumPy chooses (`numpy.sum`, `mean`, `cumsum`),
and nothing is compiled with fast-math. A compiled kernel is kept on disk, beside its file or in the user's cache folder,
so that it is compiled once for each installation; from then on it is used for few rows as well.
"""

from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from importlib.util import find_spec
from types import CodeType, FunctionType
from typing import Any, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])

HAS_COMPILER = find_spec("numba") is not None
WORTH_COMPILING = 500_000
"""Rows that plain kernels take about as long for as all kernels take to be compiled, which is half a minute."""
# A division by zero gives infinity or NaN, as in NumPy, and never an error half-way through a market.
_OPTIONS = {"error_model": "numpy"}
# What is compiled into kernels in the place of a part of theirs.
_STANDS_FOR: dict[Callable[..., Any], Callable[..., Any]] = {}


def compiled(function: _Function) -> _Function:
    """Return the kernel `function`, compiled on its first call, free of Python's global lock; without numba, itself."""
    if not HAS_COMPILER:
        return function
    import numba  # noqa: PLC0415  absent on some machines

    dispatcher = cast("Any", numba).njit(nogil=True, no_cfunc_wrapper=True, **_OPTIONS)(function)
    dispatcher._cache = _cache_of(function)  # noqa: SLF001  what `cache=True` does, with a key of our own
    return cast("_Function", dispatcher)


def compiled_part(function: _Function) -> _Function:
    """Return `function` as it is, for Python; compiled kernels that call it have it compiled into them."""
    return _stands_for(function, function)


def compiled_or(whole_arrays: _Function) -> Callable[[_Function], _Function]:
    """Return a decorator of parts: for Python `whole_arrays`, and in compiled kernels the loop over rows that it decorates.

    Both give the same bits. A compiled loop is quick to compile and to run; by Python alone it would take a microsecond a
    row.
    """
    return lambda loop: _stands_for(whole_arrays, loop)


def quickest(kernel: _Function, rows: int) -> _Function:
    """Return what computes so many rows soonest: the compiled kernel, or where compiling it takes longer, the plain one."""
    plain: _Function | None = getattr(kernel, "py_func", None)
    if plain is None or rows >= WORTH_COMPILING or _is_compiled(kernel):
        return kernel
    return plain


def _is_compiled(dispatcher: Any) -> bool:  # noqa: ANN401  numba's
    """Return whether the kernel is compiled, in this process or on disk, by this code for this kind of processor."""
    if dispatcher.signatures:
        return True
    cache = dispatcher._cache  # noqa: SLF001  numba has no public place for it
    kept = cache._cache_file._load_index()  # noqa: SLF001
    return any(key[-1] == cache.digest for key in kept)


def _stands_for(function: _Function, compiled_function: _Function) -> _Function:
    """Return `function`, and have compiled kernels that call it call `compiled_function`."""
    if HAS_COMPILER:
        from numba.extending import overload  # noqa: PLC0415  absent on some machines

        def choose(*_types: object) -> _Function:
            return compiled_function

        cast("Any", overload)(function, jit_options=_OPTIONS, strict=False)(choose)
        _STANDS_FOR[function] = compiled_function
    return function


def _cache_of(function: Callable[..., Any]) -> object:
    """Return numba's cache of a function, told apart by all code that is compiled into it.

    numba itself looks at the function's own file only: a helper or a constant changed elsewhere would go unnoticed.
    """
    from numba.core.caching import FunctionCache  # noqa: PLC0415  as numba

    class Cache(FunctionCache):
        @cached_property
        def digest(self) -> str:
            return digest_of(function)

        def _index_key(self, sig: object, codegen: object) -> Any:  # noqa: ANN401  numba's key, and ours
            key = cast("Any", super())._index_key(sig, codegen)  # noqa: SLF001  there is no public place for it
            return (*key, self.digest)

    return Cache(function)


def digest_of(function: Callable[..., Any]) -> str:
    """Return a digest of a function's code and of what it refers to: constants, and functions with all of theirs."""
    found = sha256()
    _digest(cast("Any", function), found.update, set())
    return found.hexdigest()


def _digest(function: Any, add: Callable[[bytes], None], seen: set[int]) -> None:  # noqa: ANN401  compiled or not
    function = _STANDS_FOR.get(function, function)
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
