"""Errors: one sentence in two languages, facts that survive a process border, marks that decide about retries."""

import inspect
import pickle
import re

import pytest

from stock_assets.domain import errors
from stock_assets.domain.errors import InvalidInput, Permanent, StockAssetsError, Transient

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, StockAssetsError) and kind not in {StockAssetsError, errors.SourceError}
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_the_same_after_pickling(kind: type[StockAssetsError]) -> None:
    error = kind(source="baostock", reason="connection reset", trade_date="2026-11-20")
    revived = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert type(revived) is kind
    assert revived.facts == error.facts
    assert str(revived) == str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_either_transient_or_permanent(kind: type[StockAssetsError]) -> None:
    assert issubclass(kind, Transient) != issubclass(kind, Permanent)


@pytest.mark.parametrize("kind", KINDS)
def test_both_sentences_name_the_same_facts(kind: type[StockAssetsError]) -> None:
    if issubclass(kind, InvalidInput):
        return
    facts = [set(re.findall(r"{(\w+)}", text)) for text in (kind.zh, kind.en)]
    assert facts[0] == facts[1]
    assert re.search(r"[\u4e00-\u9fff]", kind.zh)


def test_a_fact_that_is_missing_is_named_and_never_breaks_the_sentence() -> None:
    assert "<reason>" in str(errors.SourceUnavailable(source="baostock"))


def test_invalid_input_falls_back_to_english() -> None:
    assert InvalidInput(problem="no").sentence("zh") == "no"
