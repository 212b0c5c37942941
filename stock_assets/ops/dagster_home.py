"""DAGSTER_HOME inside this project's data folder, so that plain `dagster …` commands work with nothing set by hand.

Dagster reads DAGSTER_HOME before any code of ours runs; a `.pth` file in site-packages therefore calls
`prepare_for_program` when Python starts, and our own commands call `prepare`. Standard library only: this runs at the
start of the interpreter and has milliseconds.
"""

import os
import re
import sys
from collections.abc import Iterable, MutableMapping, Sequence
from pathlib import Path

PROGRAMS = frozenset({"dagster", "dagster-daemon", "dagster-graphql", "dagster-webserver", "dg"})
MODULES = frozenset({"dagster", "dagster_graphql", "dagster_webserver"})
INSTANCE_FILE = "dagster.yaml"
DEFINITIONS = "stock_assets.definitions"
# These commands want a module named and know nothing of workspace.yaml; click reads their options from the environment.
_POINTED_COMMANDS = ("ASSET_MATERIALIZE", "ASSET_LIST", "JOB_EXECUTE")
_POINTING_OPTIONS = (
    "-m",
    "-f",
    "-p",
    "--module-name",
    "--python-file",
    "--package-name",
    "--autoload-defs-module-name",
)
_OUR_MARK = "stock_assets."
_HOME_LINE = re.compile(
    r"^\s*(?:export\s+)?STOCK_ASSETS_HOME\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|([^#\r\n]*))", re.MULTILINE
)
_SCRIPT_ENDINGS = (".exe", ".py", "-script")


def prepare_for_program(argv: Sequence[str], environ: MutableMapping[str, str]) -> None:
    """Prepare when the started program is one of Dagster's own commands; leave every other program alone.

    In a folder of this project the commands that ask for a module get ours, unless one is given.
    """
    if not _is_dagster(argv):
        return
    prepare(environ)
    is_pointed = any(word.partition("=")[0] in _POINTING_OPTIONS for word in argv[3:])
    if not is_pointed and _our_instance_file([Path.cwd()]) is not None:
        for command in _POINTED_COMMANDS:
            environ.setdefault(f"DAGSTER_CLI_{command}_MODULE_NAME", DEFINITIONS)


def prepare(environ: MutableMapping[str, str]) -> None:
    """Set DAGSTER_HOME, unless it is set, to `dagster` in the data folder and put our instance file there.

    Telemetry is switched off in either case. Calling it again, or from several processes at once, does no harm.
    """
    environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    # A run over a range tells of each day by itself; written one by one that takes longer than loading the days.
    environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "500")
    if environ.get("DAGSTER_HOME"):
        return
    folder = data_folder(environ) / "dagster"
    environ["DAGSTER_HOME"] = str(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _install_instance_file(folder)
    except OSError as error:
        # Python must start whatever the disk says. DAGSTER_HOME stays set: Dagster then names the missing folder, where
        # without it a run would go unnoticed into an instance that is thrown away.
        sys.stderr.write(f"stock_assets: {folder}: {error.strerror or error}\n")


def data_folder(environ: MutableMapping[str, str]) -> Path:
    """Return STOCK_ASSETS_HOME of the environment or of `.env` here, else its default; absolute."""
    named = environ.get("STOCK_ASSETS_HOME", "").strip() or _home_in_env_file() or "~/.stock_assets"
    return Path(named).expanduser().absolute()


def _home_in_env_file() -> str:
    try:
        found = _HOME_LINE.findall(Path(".env").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Settings say it in a sentence when they read the same file.
        return ""
    return "".join(found[-1]).strip() if found else ""


def _install_instance_file(folder: Path) -> None:
    wanted = _our_instance_file((Path.cwd(), Path(__file__).resolve().parents[2]))
    target = folder / INSTANCE_FILE
    if wanted is None or _read(target) == wanted:
        return
    # Replaced in one step: a reader in another process sees the old file or the new one.
    draft = folder / f".{INSTANCE_FILE}.{os.getpid()}"
    draft.write_bytes(wanted)
    try:
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _our_instance_file(folders: Iterable[Path]) -> bytes | None:
    for folder in folders:
        content = _read(folder / INSTANCE_FILE)
        if content is not None and _OUR_MARK.encode() in content:
            return content
    return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _is_dagster(argv: Sequence[str]) -> bool:
    words = list(argv[1:3])
    if not words:
        return False
    if words[0] == "-m":
        return len(words) > 1 and words[1].partition(".")[0] in MODULES
    name = Path(words[0]).name
    for ending in _SCRIPT_ENDINGS:
        name = name.removesuffix(ending)
    return name in PROGRAMS
