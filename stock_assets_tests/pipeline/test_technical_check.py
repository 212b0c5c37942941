"""The check that computes everything again, and indicators of one's own."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from stock_assets.domain.errors import ConfigurationError
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.pipeline.own_indicators import own_families
from stock_assets.pipeline.technical_check import compare_recomputed
from stock_assets.storage.database import Database
from stock_assets_tests.pipeline.technical_workshop import DAYS, Workshop

OWN = """
from stock_assets.indicators.family import Family, Indicator


def kernel(bars, segments, choices, before, out):
    for first, end, place in zip(segments.first, segments.end, segments.place):
        out[0, place : place + end - first] = bars.high[first:end] - bars.low[first:end]


FAMILIES = (
    Family(
        name="width", zh="振幅", en="width of the day", inputs=("high", "low"),
        indicators=(
            Indicator(name="day_width", zh="当日振幅", en="high less low", formula="HIGH-LOW", first_row=1, basis="price"),
        ),
        kernel=kernel, lookback=0, source="自定义 | one's own",
    ),
)
"""


@pytest.fixture
def workshop(database: Database, tmp_path: Path) -> Workshop:
    workshop = Workshop(database, tmp_path / "ring")
    workshop.land(DAYS[:60])
    workshop.compute()
    return workshop


def test_what_was_computed_night_by_night_equals_a_recomputation(workshop: Workshop) -> None:
    for day in DAYS[60:63]:
        workshop.land([day])
        workshop.compute(day)
    one_day = compare_recomputed(workshop.context, [DAYS[62]])
    assert one_day.is_equal
    assert one_day.rows == workshop.stored().filter(trade_date=DAYS[62]).height > 0
    everything = compare_recomputed(workshop.context, None)
    assert everything.is_equal
    assert everything.rows == workshop.stored().height
    assert everything.cells == everything.rows * (len(workshop.stored().columns) - 2)


@pytest.mark.parametrize(
    ("damage", "differs"),
    [
        ("UPDATE technical_daily SET ema_20 = ema_20 + 1e-12 WHERE ts_code = '000001.SZ' AND trade_date = :day", (1, 0, 0)),
        ("UPDATE technical_daily SET rsi_6 = NULL WHERE ts_code = '000001.SZ' AND trade_date = :day", (1, 0, 0)),
        ("UPDATE technical_daily SET is_limit_up = NOT is_limit_up WHERE trade_date = :day", (6, 0, 0)),
        ("DELETE FROM technical_daily WHERE ts_code = '000001.SZ' AND trade_date = :day", (0, 1, 0)),
        (
            "INSERT INTO technical_daily (ts_code, trade_date, input_digest) SELECT '600999.SH', :day, 0",
            (0, 0, 1),
        ),
    ],
    ids=["one bit or so", "a value is gone", "a flag", "a row is gone", "a row of nothing"],
)  # fmt: skip
def test_a_damaged_store_is_found_out_and_the_command_that_is_named_repairs_it(
    workshop: Workshop, damage: str, differs: tuple[int, int, int]
) -> None:
    with workshop.database.begin() as conn:
        conn.execute(sa.text(damage), {"day": DAYS[59]})
    found = compare_recomputed(workshop.context, [DAYS[59]])
    assert (found.differing_cells, found.missing_rows, found.extra_rows) == differs
    assert not found.is_equal
    assert found.worst["trade_date"].unique().to_list() == [DAYS[59]]
    assert f"--start {DAYS[59]} --end {DAYS[59]} --again --codes {','.join(sorted(found.codes))}" in found.repair
    workshop.compute(DAYS[59], again=True, ts_codes=sorted(found.codes))
    assert compare_recomputed(workshop.context, None).is_equal
    workshop.assert_whole()


def test_a_day_whose_bars_have_changed_since_is_stale_and_no_damage(workshop: Workshop) -> None:
    workshop.truth = workshop.truth.with_columns(volume=workshop.truth["volume"] + 1)
    workshop.land([DAYS[59]])
    found = compare_recomputed(workshop.context, [DAYS[59]])
    assert (found.is_equal, found.rows, found.stale) == (True, 0, [DAYS[59]])


def test_an_indicator_in_a_file_of_ones_own_is_computed_with_the_others(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "width.py").write_text(OWN)
    workshop.families = (*FAMILIES, *own_families(tmp_path / "own"))
    workshop.compute()
    workshop.assert_whole()
    assert workshop.stored()["day_width"].null_count() == 0
    before = workshop.versions()
    # A formula that changes is computed anew, one that does not is left alone.
    workshop.families = (*FAMILIES, *own_families(tmp_path / "own"))
    assert workshop.compute().outcomes == []
    (tmp_path / "own" / "width.py").write_text(OWN.replace("bars.high[first:end] -", "2 * bars.high[first:end] -"))
    workshop.families = (*FAMILIES, *own_families(tmp_path / "own"))
    workshop.compute()
    assert workshop.written_since(before) == set(before)
    workshop.assert_whole()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("FAMILIES = (", "SyntaxError"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("FAMILY = 1", "FAMILIES must be a tuple of Family"),
        (OWN.replace("day_width", "ma_5"), "the column ma_5 exists already"),
        (OWN.replace("day_width", "close; DROP TABLE security"), "a column is named in small letters"),
        (OWN.replace('name="width"', 'name="macd"'), "there is a family macd already"),
        (OWN.replace('inputs=("high", "low")', 'inputs=("vwap",)'), "there is no input vwap"),
        (OWN.replace("lookback=0", "lookback=251"), "lookback must be 0 to 250"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        own_families(tmp_path)
    assert str(tmp_path / "broken.py") in str(caught.value)


def test_without_a_folder_there_is_nothing_of_ones_own(tmp_path: Path) -> None:
    assert own_families(tmp_path / "absent") == ()
