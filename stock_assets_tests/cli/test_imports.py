"""Imports without the collector leave it as they found it."""

import gc
import subprocess
import sys

import pytest

from stock_assets.cli.imports import uncollected


def test_the_collector_rests_inside_and_works_again_after_an_error() -> None:
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), uncollected():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_draws_is_imported_only_to_draw() -> None:
    code = """
import sys
import stock_assets.cli.look, stock_assets.definitions
print({"matplotlib", "plotly", "PIL"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
