"""What every simulated server can do: begin and end, stop listening and listen again, and have its faults changed."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from stock_assets.simulator.faults import KINDS, FaultCounter, FaultPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stock_assets.simulator.faults import Fault


class SimulatedServer(ABC):
    """A server on loopback; a context manager that is ready as soon as it is entered.

    `kinds` are the faults that its plans may name; `closing` is set once it is told to end.
    """

    def __init__(self, faults: FaultPlan | str | None, *, kinds: Sequence[str] = KINDS) -> None:
        self.closing = threading.Event()
        self._kinds = kinds
        self._counter = self._counter_of(faults)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def faults(self) -> FaultPlan:
        """The plan in force; setting a plan or its text starts its counting anew."""
        return self._counter.plan

    @faults.setter
    def faults(self, plan: FaultPlan | str | None) -> None:
        self._counter = self._counter_of(plan)

    def open(self) -> None:
        """Listen; with port 0 the system chooses a free one, which is `port` from then on."""
        self.closing.clear()
        self.accept_connections()

    @abstractmethod
    def close(self) -> None:
        """Close the listener and all connections."""

    @abstractmethod
    def accept_connections(self) -> None:
        """Listen again on the same port; nothing happens while the server listens."""

    @abstractmethod
    def refuse_connections(self) -> None:
        """Close the listener: new connections are refused, open ones go on."""

    def _accept_after(self, fault: Fault) -> None:
        """Listen again after as many seconds as the fault says, never where it says nothing."""
        if fault.argument is not None:
            timer = threading.Timer(fault.argument, self.accept_connections)
            timer.daemon = True
            timer.start()

    def _counter_of(self, plan: FaultPlan | str | None) -> FaultCounter:
        if plan is None or isinstance(plan, str):
            plan = FaultPlan.parse(plan or "", kinds=self._kinds)
        return FaultCounter(plan)
