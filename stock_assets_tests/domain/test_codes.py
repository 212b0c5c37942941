"""Security codes: every common spelling in, one form out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_assets.domain.codes import board_of, exchange_of, is_stock_code, parse_code
from stock_assets.domain.errors import InvalidInput


@pytest.mark.parametrize(
    "spelling", ["600000.SH", "sh.600000", "SH600000", "sh600000", "600000", "600000.XSHG", "600000.ss", " 600000.sh "]
)
def test_every_common_spelling_is_one_code(spelling: str) -> None:
    assert parse_code(spelling) == "600000.SH"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("920748.SH", "920748.BJ"), ("600000.SZ", "600000.SH"), ("sh.000001", "000001.SZ"), ("300750.BJ", "300750.SZ")],
)
def test_a_wrong_pair_is_refused_with_the_right_one_named(wrong: str, right: str) -> None:
    with pytest.raises(InvalidInput, match=right):
        parse_code(wrong)


@pytest.mark.parametrize(
    "nonsense", ["", "60000", "6000000", "ABC", "sh.600000.SH", "600000.HK", "700001", "６０００００"]
)
def test_nonsense_is_refused_in_one_sentence(nonsense: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_code(nonsense)
    assert "\n" not in str(caught.value)
    assert caught.value.sentence("zh") != caught.value.sentence("en")


@pytest.mark.parametrize(
    ("code", "board"),
    [
        ("600000.SH", "main"),
        ("605499.SH", "main"),
        ("688981.SH", "star"),
        ("000001.SZ", "main"),
        ("001872.SZ", "main"),
        ("300750.SZ", "chinext"),
        ("301236.SZ", "chinext"),
        ("920748.BJ", "bse"),
        ("830799.BJ", "bse"),
        ("900901.SH", "b_share"),
    ],
)
def test_the_board_follows_from_the_number(code: str, board: str) -> None:
    assert board_of(code) == board


@pytest.mark.parametrize("index_or_fund", ["000001.SH", "399001.SZ", "510300.SH", "159915.SZ", "110059.SH"])
def test_indices_funds_and_bonds_are_no_stocks(index_or_fund: str) -> None:
    assert not is_stock_code(index_or_fund)


@given(st.integers(min_value=0, max_value=999_999))
def test_parsing_is_idempotent_and_agrees_with_the_exchange(number: int) -> None:
    text = f"{number:06d}"
    exchange = exchange_of(text)
    if exchange is None:
        with pytest.raises(InvalidInput):
            parse_code(text)
    else:
        assert parse_code(parse_code(text)) == f"{text}.{exchange}"
        assert is_stock_code(f"{text}.{exchange}")
