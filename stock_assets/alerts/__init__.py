"""What leaves this installation to tell a person: the hook and the forms that receivers want."""

from stock_assets.alerts.hook import AlertHook

__all__ = ["AlertHook"]
