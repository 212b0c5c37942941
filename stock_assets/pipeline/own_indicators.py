"""Indicators of one's own: every file of a folder adds its families to those that every store has.

    # ~/.stock_assets/indicators/gap.py
    FAMILIES = (Family(name="gap", indicators=(Indicator(name="gap_open", ...),), kernel=gap, ...),)

A file is a program of the user's own, run as such. A column that it names is added to `technical_daily`; one that it no
longer names stays there, no longer computed.
"""

import re
import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import cast

from stock_assets.domain.errors import ConfigurationError
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.family import Family
from stock_assets.indicators.panel import LOOKBACK, Bars
from stock_assets.indicators.table import TECHNICAL_DAILY

_NAME = re.compile(r"[a-z][a-z0-9_]{0,58}", re.ASCII)


def own_families(folder: Path) -> tuple[Family, ...]:
    """Return the families that the files of `folder` define, in order of files; none where there is no folder.

    Errors: `ConfigurationError` names the file and what is wrong with it.
    """
    found: list[Family] = []
    for path in sorted(folder.glob("*.py")):
        for family in _of_file(path):
            _check(path, family, [*FAMILIES, *found])
            found.append(family)
    return tuple(found)


def _of_file(path: Path) -> Iterable[Family]:
    name = f"stock_assets_own_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise _wrong(path, "it cannot be read as a Python file", "无法作为 Python 文件读取")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise _wrong(path, reason, reason) from error
    families: object = getattr(module, "FAMILIES", None)
    found = list(cast("Iterable[object]", families)) if isinstance(families, tuple | list) else []
    known = [one for one in found if isinstance(one, Family)]
    if not known or len(known) < len(found):
        raise _wrong(path, "FAMILIES must be a tuple of Family", "FAMILIES 须为 Family 的元组")
    return known


def _check(path: Path, family: Family, others: Iterable[Family]) -> None:
    taken = {name for other in others for name in other.names} | set(TECHNICAL_DAILY.names)
    if family.name in {other.name for other in others}:
        raise _wrong(path, f"there is a family {family.name} already", f"指标族 {family.name} 已存在")
    if not family.indicators or not callable(family.kernel):
        raise _wrong(
            path, f"family {family.name} needs indicators and a kernel", f"指标族 {family.name} 缺少指标或内核函数"
        )
    twice = {name for name in family.names if name in taken or family.names.count(name) > 1}
    if twice:
        names = ", ".join(sorted(twice))
        raise _wrong(path, f"the column {names} exists already", f"列 {names} 已存在")
    if wrong := [name for name in family.names if not _NAME.fullmatch(name)]:
        raise _wrong(
            path,
            f"a column is named in small letters, digits and _, not '{wrong[0]}'",
            f"列名只能用小写字母、数字和 _，而不是“{wrong[0]}”",
        )
    if unknown := set(family.inputs) - set(Bars._fields):
        names = ", ".join(sorted(unknown))
        raise _wrong(path, f"there is no input {names}; there are {', '.join(Bars._fields)}", f"没有输入 {names}")
    if not 0 <= family.lookback <= LOOKBACK:
        raise _wrong(path, f"lookback must be 0 to {LOOKBACK}", f"lookback 须在 0 至 {LOOKBACK} 之间")


def _wrong(path: Path, reason: str, reason_zh: str) -> ConfigurationError:
    return ConfigurationError(
        problem=f"the indicators in {path} cannot be used: {reason}; correct the file or move it away, nothing was changed",
        problem_zh=f"{path} 中的指标无法使用：{reason_zh}；请更正或移走该文件，存储未作改动",
    )
