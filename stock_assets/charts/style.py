"""How pictures look: colours as in China, where red is up."""

from typing import Final

UP: Final = "#D9352A"
DOWN: Final = "#138A52"
FLAT: Final = "#8C8C8C"
INK: Final = "#262626"
FAINT: Final = "#8C8C8C"
GRID: Final = "#ECECEC"
PAPER: Final = "#FFFFFF"
BLUE: Final = "#1F77C4"
ORANGE: Final = "#E08A00"
PURPLE: Final = "#B03AB8"
