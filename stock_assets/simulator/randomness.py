"""Random numbers that are looked up, not drawn: the same place holds the same number in any order of asking."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_MASK: Final = (1 << 64) - 1
_PLACE: Final = 0x9E3779B97F4A7C15
_OWNER: Final = 0xD1B54A32D192ED03
_STREAM: Final = 0x8CB92BA72F3D8DD7
_FIRST_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND_MIX: Final = np.uint64(0x94D049BB133111EB)


class Randomness:
    """Numbers of one seed, addressed by (stream, owner, place).

    The mixing function is SplitMix64's finalizer (Steele, Lea, Flood 2014).
    """

    def __init__(self, seed: int) -> None:
        self._seed = (seed * _SECOND_MIX.item() + _PLACE) & _MASK

    def uniform(self, stream: int, owner: Ints, place: Ints | int = 0) -> Floats:
        """Return one number in [0, 1) for each owner and place."""
        start = np.uint64((self._seed ^ (stream * _STREAM)) & _MASK)
        bits = owner.astype(np.uint64) * np.uint64(_OWNER)
        bits = bits + np.asarray(place).astype(np.uint64) * np.uint64(_PLACE) + start
        bits ^= bits >> np.uint64(30)
        bits *= _FIRST_MIX
        bits ^= bits >> np.uint64(27)
        bits *= _SECOND_MIX
        bits ^= bits >> np.uint64(31)
        return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def signed(self, stream: int, owner: Ints, place: Ints | int = 0) -> Floats:
        """Return one number in [-1, 1) for each owner and place."""
        return self.uniform(stream, owner, place) * 2.0 - 1.0

    def bell(self, stream: int, owner: Ints, place: Ints | int = 0) -> Floats:
        """Return one nearly normal number with mean 0 and deviation 1, never beyond 3."""
        pieces = [self.signed(stream * 8 + part, owner, place) for part in range(3)]
        return pieces[0] + pieces[1] + pieces[2]
