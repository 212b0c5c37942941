"""What a store of daily bars should know, worked out pair by pair in plain Python: the other way to the same answer.

Nothing of the product is used here. The model is told what was asked of the far end and what there was, and follows each
(stock, day) through its life; `state` then says by looking at everything what completeness should say.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from stock_assets_tests.pipeline.made_up_exchange import NEW, OLD, MadeUpExchange

Pair = tuple[str, date]
State = Literal["present", "suspended", "not_listed", "source_has_none", "rejected", "missing"]
# Documented: asked for on two days, a row that does not come is nowhere; a day is settled after a month.
_DAYS_OF_PROOF, _SETTLED_DAYS = 2, 30


@dataclass(slots=True)
class Model:
    """The store as it should be; pairs have the code that the stock had on its day.

    `held` has the close and whether it is a suspended day, `asked` the days on which the source was asked in vain.
    """

    market: MadeUpExchange
    held: dict[Pair, tuple[float, bool]] = field(default_factory=dict[Pair, tuple[float, bool]])
    asked: dict[Pair, set[date]] = field(default_factory=dict[Pair, set[date]])
    rejected: set[Pair] = field(default_factory=set[Pair])

    def copy(self) -> "Model":
        """Return a model that goes its own way from here."""
        asked = {pair: set(days) for pair, days in self.asked.items()}
        return Model(self.market, dict(self.held), asked, set(self.rejected))

    def codes(self) -> list[str]:
        """Return every code that the store can know."""
        return sorted({*self.market.stocks, *([NEW] if self.market.is_renamed else [])})

    def days(self) -> list[date]:
        """Return the sessions that are over."""
        return [day for day in self.market.sessions if day < self.market.today]

    def expected(self, day: date) -> set[str]:
        """Return who should have a bar."""
        market = self.market
        return {market.code_of(stock, day) for stock, life in market.stocks.items() if life.has(day)}

    def state(self, code: str, day: date) -> State:
        """Return what became of one pair."""
        pair = code, day
        if code not in self.expected(day):
            return "not_listed"
        if pair in self.held:
            return "suspended" if self.held[pair][1] else "present"
        if len(self.asked.get(pair, ())) >= _DAYS_OF_PROOF:
            return "source_has_none"
        return "rejected" if pair in self.rejected else "missing"

    def open_pairs(self, days: Collection[date], codes: Collection[str] | None = None) -> set[Pair]:
        """Return what is missing or rejected of these days."""
        return {
            (code, day)
            for day in days
            for code in self.expected(day)
            if (codes is None or code in codes) and self.state(code, day) in {"missing", "rejected"}
        }

    def due(self, pairs: Iterable[Pair]) -> set[Pair]:
        """Return those that were not asked for today."""
        return {pair for pair in pairs if self.market.today not in self.asked.get(pair, ())}

    def status(self, day: date) -> Literal["complete", "partial"]:
        """Return how a day stands that has just landed."""
        is_open = self.open_pairs([day]) or any(on == day for _, on in self.rejected)
        return "partial" if is_open else "complete"

    def land(self, gaps: set[Pair], only: Collection[str] | None, days_of: Collection[date]) -> None:
        """Follow what the far end was just asked: `gaps` are the pairs that it was asked for the sake of.

        `only` are the codes that rows are taken of, None for all; `days_of` the days that were worked on.
        """
        expected = {day: self._obtainable(day) for day in self.market.day_calls}
        self._land_codes({pair for pair in gaps if pair[0] in self.market.code_calls})
        wanted = None if only is None else {code for code, _ in gaps} & set(only)
        for day in dict.fromkeys(self.market.day_calls):
            if day in days_of:
                self._land_day(day, {code for code, on in gaps if on == day}, wanted, expected[day])

    def _land_codes(self, gaps: set[Pair]) -> None:
        codes, days = set(self.market.code_calls), {day for _, day in gaps}
        for code in codes:
            first, last = self.market.code_calls[code]
            for day in sorted(days):
                self._land_row(code, day, is_told=first <= day <= last and self._is_told_as(code, day))
        told = {day for day in days if self._is_settled(day) or len(self.open_pairs([day])) <= 1}
        for code, day in gaps:
            first, last = self.market.code_calls[code]
            if day in told and first <= day <= last:
                self._note(code, day)

    def _land_day(self, day: date, gaps: set[str], wanted: set[str] | None, expected: int) -> None:
        market = self.market
        told = {market.code_of(stock, day): market.what(stock, day) for stock in market.stocks}
        rows = {code: what for code, what in told.items() if what != "none"}
        if not rows:
            return
        came = sum(what != "bad" for what in rows.values())
        for code in told:
            if wanted is None or code in wanted:
                self._land_row(code, day, is_told=True)
        is_whole = expected - came <= 1 or (self._is_settled(day) and 2 * came >= expected)
        for code in gaps if came and is_whole else ():
            self._note(code, day)

    def _obtainable(self, day: date) -> int:
        return sum(self.state(code, day) != "source_has_none" for code in self.expected(day))

    def _land_row(self, code: str, day: date, *, is_told: bool) -> None:
        stock, pair = self._stock_of(code), (code, day)
        what = self.market.what(stock, day) if is_told else "none"
        self.rejected.discard(pair)
        if what == "bad":
            self.rejected.add(pair)
        elif what != "none":
            self.held[pair] = self.market.close(stock, day), what == "suspended"
        if what != "none" or pair in self.held:
            self.asked.pop(pair, None)

    def _note(self, code: str, day: date) -> None:
        if (code, day) not in self.held and (code, day) not in self.rejected:
            self.asked.setdefault((code, day), set()).add(self.market.today)

    def _is_settled(self, day: date) -> bool:
        return (self.market.today - day).days > _SETTLED_DAYS

    def _is_told_as(self, code: str, day: date) -> bool:
        return self.market.code_of(self._stock_of(code), day) == code

    def _stock_of(self, code: str) -> str:
        return code if code in self.market.stocks else OLD
