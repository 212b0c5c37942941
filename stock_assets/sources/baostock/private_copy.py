"""A private copy of the official package's modules for one session.

The package keeps its user and its one connection in module globals, so that a process can hold one session only, and
threads sharing it read each other's answers. A copy of the modules gives each session globals of its own. Nothing in
`sys.modules` is touched: `import baostock` elsewhere, and whatever other threads import meanwhile, stay as they are.
"""

import builtins
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import module_from_spec
from types import CodeType, ModuleType

_PACKAGE = "baostock"


@cache
def _code_of(name: str, path: str) -> CodeType | None:
    return SourceFileLoader(name, path).get_code(name)


class _OnceCompiled(SourceFileLoader):
    """Loads a module anew from code that all copies of this process share."""

    def get_code(self, fullname: str) -> CodeType | None:
        return _code_of(fullname, self.path)


class PrivateCopy:
    """The package's modules, loaded anew; `printed` keeps the last lines it would have printed."""

    def __init__(self) -> None:
        """Load every module of the package that its top level imports."""
        self.printed: deque[str] = deque(maxlen=2)
        self._modules: dict[str, ModuleType] = {}
        # pandas serves only `ResultData.get_data`, which breaks on its second page and is never called here; without
        # it a copy takes milliseconds and some hundred kilobytes.
        self._stand_ins = {"pandas": ModuleType("pandas")}
        self._builtins: dict[str, object] = {**vars(builtins), "__import__": self._import, "print": self._keep_line}
        self.top = self._load(_PACKAGE)

    def module(self, name: str) -> ModuleType:
        """Return a loaded module of the copy by its full name."""
        return self._modules[name]

    def _import(
        self,
        name: str,
        globals_: Mapping[str, object] | None = None,
        locals_: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if name in self._stand_ins:
            return self._stand_ins[name]
        if name.partition(".")[0] != _PACKAGE:
            return builtins.__import__(name, globals_, locals_, fromlist or (), level)
        leaf = self._load(name)
        return leaf if fromlist else self._modules[_PACKAGE]

    def _load(self, name: str) -> ModuleType:
        if name in self._modules:
            return self._modules[name]
        parent_name, _, short_name = name.rpartition(".")
        parent = self._load(parent_name) if parent_name else None
        if name in self._modules:  # loading the parent may have loaded it
            return self._modules[name]
        spec = PathFinder.find_spec(name, sys.path if parent is None else parent.__path__)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(name=name)
        module = module_from_spec(spec)
        vars(module)["__builtins__"] = self._builtins
        self._modules[name] = module
        _OnceCompiled(name, spec.origin).exec_module(module)
        if parent is not None:
            setattr(parent, short_name, module)
        return module

    def _keep_line(self, *values: object, **_options: object) -> None:
        # The package prints its failures instead of raising them; nothing here may reach standard output.
        self.printed.append(" ".join(map(str, values)))


def function_of(copy: PrivateCopy, name: str) -> Callable[..., object]:
    """Return the package's public function of this name."""
    function: Callable[..., object] = getattr(copy.top, name)
    return function
