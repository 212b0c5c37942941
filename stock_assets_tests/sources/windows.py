"""How many calls fall into a window, as the receiving side counts them."""

from collections.abc import Iterable


def most_in_a_window(moments: Iterable[float], seconds: float) -> int:
    """Return the most moments that any half-open window of this length holds, wherever it begins."""
    ordered = sorted(moments)
    first, most = 0, 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
