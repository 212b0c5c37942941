"""Every knob of this installation, read once at the start: from the environment first, then from `.env` here.

A value that cannot be used becomes a `ConfigurationError` of one sentence.
"""

from stock_assets.settings.fields import Settings
from stock_assets.settings.language import preferred_language
from stock_assets.settings.reading import Knob, knobs, load_settings

__all__ = ["Knob", "Settings", "knobs", "load_settings", "preferred_language"]
