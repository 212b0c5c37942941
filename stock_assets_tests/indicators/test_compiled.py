"""With a compiler and without one the kernels give the same bits, and compile once for each installation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stock_assets.indicators import compiled
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.compute import column_names, compute
from stock_assets.indicators.conventions import Conventions
from stock_assets_tests.house.repository import ROOT
from stock_assets_tests.indicators.made_up_series import made_up_bars, same_bits, whole

pytestmark = pytest.mark.skipif(not compiled.HAS_COMPILER, reason="NUMBA MISSING: there is one path only")

LENGTHS = [1, 2, 3, 14, 33, 249, 250, 251, 400]
OTHER = Conventions(
    seed="mean", kdj_seed="fifty", flat_range="zero", windows="partial", deviation="sample", atr_mean="wilder"
)
WITHOUT = """
import sys, warnings
sys.modules["numba"] = None
warnings.simplefilter("error")
import numpy as np
from stock_assets.indicators import compiled
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.compute import compute
from stock_assets_tests.indicators.made_up_series import made_up_bars, whole
from stock_assets_tests.indicators.runs import run
from stock_assets_tests.indicators.test_compiled import LENGTHS, OTHER
from stock_assets.indicators.conventions import DEFAULT
assert not compiled.HAS_COMPILER
bars = made_up_bars(LENGTHS, 7)
values = [compute(bars, whole(LENGTHS), FAMILIES, conventions=chosen, threads=1) for chosen in (DEFAULT, OTHER)]
known = values[0].copy()
begin = sum(LENGTHS) - LENGTHS[-1]
known[:, begin + 260 :] = np.nan
for row in range(260, 300):
    run(bars, LENGTHS, [(0, 0)] * (len(LENGTHS) - 1) + [(row, row + 1)], known, DEFAULT, FAMILIES)
known[:, begin + 300 :] = values[0][:, begin + 300 :]
np.save(sys.argv[1], np.stack([*values, known]))
"""
STATS = """
import json
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.compute import compute
from stock_assets_tests.indicators.made_up_series import made_up_bars, whole
compute(made_up_bars([300], 1), whole([300]), FAMILIES, threads=1)
kernels = {family.name: family.function().stats for family in FAMILIES}
print(json.dumps({name: [sum(s.cache_hits.values()), sum(s.cache_misses.values())] for name, s in kernels.items()}))
"""


NOT_COMPILED = """
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.compute import compute
from stock_assets_tests.indicators.made_up_series import made_up_bars, whole
compute(made_up_bars([300], 1), whole([300]), FAMILIES, threads=1)
print([family.name for family in FAMILIES if family.function().signatures])
"""


@pytest.fixture(autouse=True)
def compiles_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few the rows are."""
    monkeypatch.setattr(compiled, "WORTH_COMPILING", 0)


def python(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_numba_every_family_has_the_same_bits_and_warns_of_nothing(tmp_path: Path) -> None:
    python(WITHOUT, str(tmp_path / "values.npy"))
    default, other, by_night = np.load(tmp_path / "values.npy")
    bars = made_up_bars(LENGTHS, 7)
    names = column_names(FAMILIES)
    for conventions, found in ((Conventions(), default), (OTHER, other), (Conventions(), by_night)):
        expected = compute(bars, whole(LENGTHS), FAMILIES, conventions=conventions, threads=1)
        assert [
            name for name, ours, theirs in zip(names, expected, found, strict=True) if not same_bits(ours, theirs)
        ] == []


def test_a_second_process_compiles_nothing() -> None:
    # This process, or an earlier one, has compiled every kernel.
    compute(made_up_bars([300], 1), whole([300]), FAMILIES, threads=1)
    found = json.loads(python(STATS))
    assert found == {family.name: [1, 0] for family in FAMILIES}


def test_few_rows_do_not_wait_for_a_compiler(tmp_path: Path) -> None:
    assert python(NOT_COMPILED, NUMBA_CACHE_DIR=str(tmp_path)) == "[]\n"


def test_a_changed_part_or_constant_is_compiled_anew() -> None:
    """Numba's own key looks at a kernel's file alone; ours at all that is compiled into it."""

    def digests(constant: str, operator: str) -> str:
        part = f"WEIGHT = {constant}\ndef part(value):\n    return value {operator} WEIGHT\n"
        names: dict[str, object] = {}
        exec(part + "def kernel(value):\n    return part(value) + 1\n", names)  # noqa: S102  a kernel and a part, as text
        return compiled.digest_of(names["kernel"])  # pyright: ignore[reportArgumentType]

    assert digests("0.5", "*") == digests("0.5", "*")
    assert len({digests("0.5", "*"), digests("0.25", "*"), digests("0.5", "+")}) == 3
