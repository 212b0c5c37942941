"""Kernels are compiled where numba is there, and run as they are written, on NumPy alone, where it is not.

Both give the same bits: no kernel may use a sum whose order of additions NumPy chooses (`numpy.sum`, `mean`, `cumsum`),
and nothing is compiled with fast-math. A compiled kernel is kept on disk, beside its file or in the user's cache folder,
so that it is compiled once for each installation.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])

HAS_COMPILER = find_spec("numba") is not None


def compiled(function: _Function) -> _Function:
    """Return `function` compiled on its first call, free of Python's global lock; without numba, the function itself."""
    if not HAS_COMPILER:
        return function
    import numba  # noqa: PLC0415  absent on some machines

    # A division by zero gives infinity or NaN, as in NumPy, and never an error half-way through a market.
    compile_it = cast("Any", numba).njit(cache=True, nogil=True, error_model="numpy")
    return cast("_Function", compile_it(function))
