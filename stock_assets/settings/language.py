"""Which language to speak: what a person chose, else that of the system."""

import locale
import os
from collections.abc import Mapping

from stock_assets.domain.errors import Language


def preferred_language(environ: Mapping[str, str] = os.environ) -> Language:
    """Return the language to speak where settings could not be read; never fails."""
    choice = environ.get("STOCK_ASSETS_LANGUAGE", "").strip().lower()
    return choice if choice in ("zh", "en") else locale_language(environ)


def locale_language(environ: Mapping[str, str]) -> Language:
    """Return Chinese where the system's locale is Chinese, else English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    # Windows sets none of them.
    return "zh" if (locale.getlocale()[0] or "").lower().startswith(("zh", "chinese")) else "en"
