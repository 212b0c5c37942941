"""What an installation has told, still has to tell, and when it last did: one small file for all of its processes.

Two processes that write at the same moment may lose one of two notes; then something is told twice.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from stock_assets.domain.alerts import Alert


@dataclass(frozen=True, slots=True)
class Told:
    """A state that was told, as a digest, and when."""

    state: str
    at: datetime


def _alert(facts: dict[str, Any]) -> Alert:
    facts["items"] = tuple(facts["items"])
    return Alert(**facts)


def _told() -> dict[str, dict[str, Told]]:
    return {}


def _waiting() -> dict[str, dict[str, Alert]]:
    return {}


@dataclass(slots=True)
class Memory:
    """By scope and cause what was told and what waits to be; the last moments of sending."""

    told: dict[str, dict[str, Told]] = field(default_factory=_told)
    waiting: dict[str, dict[str, Alert]] = field(default_factory=_waiting)
    sent: list[datetime] = field(default_factory=list[datetime])

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what the file says; of one that is absent, spoilt or from an earlier version, an empty memory."""
        try:
            known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                told={
                    scope: {
                        cause: Told(str(state), datetime.fromisoformat(at)) for cause, (state, at) in causes.items()
                    }
                    for scope, causes in known["told"].items()
                },
                waiting={
                    scope: {cause: _alert(facts) for cause, facts in causes.items()}
                    for scope, causes in known["waiting"].items()
                },
                sent=[datetime.fromisoformat(moment) for moment in known["sent"]],
            )
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            # Whatever was told is told once more.
            return cls()

    def drop_empty(self) -> None:
        """Forget scopes of which there is nothing to remember."""
        self.told = {scope: causes for scope, causes in self.told.items() if causes}
        self.waiting = {scope: causes for scope, causes in self.waiting.items() if causes}

    def text(self) -> str:
        """Return the content of the file."""
        return json.dumps(
            {
                "told": {
                    scope: {cause: [one.state, one.at.isoformat()] for cause, one in causes.items()}
                    for scope, causes in self.told.items()
                },
                "waiting": {
                    scope: {cause: asdict(alert) for cause, alert in causes.items()}
                    for scope, causes in self.waiting.items()
                },
                "sent": [moment.isoformat() for moment in self.sent],
            },
            ensure_ascii=False,
        )

    def write(self, path: Path) -> None:
        """Replace the file; where that cannot be done, nothing is remembered."""
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(f".{os.getpid()}")
            new.write_text(self.text(), encoding="utf-8")
            new.replace(path)
