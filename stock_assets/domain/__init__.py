"""Words and values of the market: pure, without input or output, known to every floor above."""
