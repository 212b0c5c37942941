"""Everything that must be there before the project's own code can run: a Python, uv, and the locked environment.

Standard library only, and the syntax of Python 3.6: an old interpreter must be able to read this file to say, in one
sentence, which one is needed. What is run in the environment does not belong here.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Mapping, NoReturn, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parent.parent
NEEDED = (3, 11)
OLDEST_UV = (0, 8)
INTERPRETERS = ("python3.13", "python3.12", "python3.11", "python3.14", "python3", "python")
IS_WINDOWS = os.name == "nt"
NOT_CONFIGURED = 78
UNAVAILABLE = 69
INTERRUPTED = 130


class CannotStart(Exception):
    """One sentence, in two languages, that says what is missing and what to do."""

    def __init__(self, zh: str, en: str, code: int = NOT_CONFIGURED) -> None:
        super().__init__(en)
        self.zh = zh
        self.en = en
        self.code = code


def run_in_environment(arguments: Sequence[str], *, with_dev: bool) -> NoReturn:
    """Set everything up, then become `python <arguments>` inside the environment; its exit code is ours.

    `with_dev` adds what only the tests need. On Windows this process stays and waits.
    """
    _speak_utf8()
    try:
        _need_python()
        os.chdir(str(ROOT))
        environ = child_environment(os.environ)
        with Step(1, "查找 uv", "find uv"):
            uv = find_uv() or install_uv()
        is_first = not environment_python(environ).exists()
        with Step(
            2,
            "安装依赖" + "（首次需要几分钟）" * is_first,
            "install packages" + " (minutes, this first time)" * is_first,
        ):
            sync(uv, environ, with_dev=with_dev)
        python = environment_python(environ)
        _say("[3/3] 启动" if is_chinese() else "[3/3] start")
        become([str(python), *list(arguments)], environ)
    except CannotStart as problem:
        _say(problem.zh if is_chinese() else problem.en)
        sys.exit(problem.code)
    except KeyboardInterrupt:
        _say("已中断" if is_chinese() else "interrupted")
        sys.exit(INTERRUPTED)


class Step:
    """A line that names a step when it begins and its seconds when it ends."""

    def __init__(self, number: int, zh: str, en: str) -> None:
        self.title = f"[{number}/3] {zh if is_chinese() else en}"
        self.started = 0.0

    def __enter__(self) -> "Step":
        self.started = time.time()
        sys.stderr.write(self.title + " … ")
        sys.stderr.flush()
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        sys.stderr.write(f"{time.time() - self.started:.1f} s\n")
        sys.stderr.flush()


def is_chinese() -> bool:
    """Return whether to speak Chinese: as set, else by the system's locale."""
    choice = os.environ.get("STOCK_ASSETS_LANGUAGE", "").strip().lower()
    if choice in ("zh", "en"):
        return choice == "zh"
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return os.environ[name].lower().startswith("zh")
    return False


def data_folder() -> Path:
    """Return where this project keeps what is not in the repository."""
    return Path(os.environ.get("STOCK_ASSETS_HOME") or "~/.stock_assets").expanduser().absolute()


def find_python() -> Optional[List[str]]:
    """Return the command of an interpreter on PATH that is new enough."""
    candidates = [[name] for name in INTERPRETERS]
    if IS_WINDOWS:
        candidates.append(["py", "-3"])
    probe = f"import sys; sys.exit(sys.version_info[:2] < {NEEDED!r})"
    for command in candidates:
        program = shutil.which(command[0])
        # A name on PATH may be a shim for a version that is not installed: only running it tells.
        if program and _is_ok([program, *command[1:], "-c", probe]):
            return [program, *command[1:]]
    return None


def find_uv() -> Optional[Path]:
    """Return a uv that is new enough, from PATH or from our own folder."""
    private = _private_uv()
    for candidate in (shutil.which("uv"), str(private) if private.is_file() else None):
        if candidate and _uv_version(candidate) >= OLDEST_UV:
            return Path(candidate)
    return None


def install_uv() -> Path:
    """Install uv from the package registry into our own folder and return it."""
    target = _private_uv()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(prefix="uv-", dir=str(target.parent)))
    except OSError as error:
        raise CannotStart(
            f"无法写入 {target.parent}（{error.strerror}）：请设置 STOCK_ASSETS_HOME 为可写的文件夹",
            f"{target.parent} cannot be written ({error.strerror}): set STOCK_ASSETS_HOME to a folder that can",
        ) from error
    try:
        found = _uv_by_venv(workshop) or _uv_by_pip(workshop)
        # The program needs nothing beside itself; moved in one step, a second start at the same time does no harm.
        found.replace(target)
    finally:
        shutil.rmtree(str(workshop), ignore_errors=True)
    return target


def child_environment(environ: Mapping[str, str]) -> Dict[str, str]:
    """Return the environment for uv and for what runs after it."""
    child = dict(environ)
    for name in ("VIRTUAL_ENV", "PYTHONHOME"):
        child.pop(name, None)
    child.setdefault("UV_PROJECT_ENVIRONMENT", str(_environment_folder()))
    child.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    # Chinese text must pass through the pipes of a Windows machine as well.
    child.setdefault("PYTHONUTF8", "1")
    # Interpreters come from elsewhere than the package registry.
    child["UV_PYTHON_DOWNLOADS"] = "never"
    folder = str(_programs(Path(child["UV_PROJECT_ENVIRONMENT"])))
    child["PATH"] = folder + os.pathsep + child.get("PATH", "")
    return child


def sync(uv: Path, environ: Dict[str, str], *, with_dev: bool) -> None:
    """Bring the environment to what uv.lock says."""
    # Inexact: a demo must not take the test tools out of an environment that tests may be using.
    command = [str(uv), "sync", "--frozen", "--quiet"] + ([] if with_dev else ["--no-dev", "--inexact"])
    if not environment_python(environ).exists():
        command += ["--python", sys.executable]
    result = _run(command, environ)
    if result.returncode:
        _say("\n" + result.stdout.strip())
        raise CannotStart(
            "依赖安装失败，原因见上。请检查到软件包仓库的网络后重试",
            "the packages could not be installed, see above; check the network to the package registry and try again",
            UNAVAILABLE,
        )


def environment_python(environ: Dict[str, str]) -> Path:
    """Return the interpreter of the environment."""
    return _programs(Path(environ["UV_PROJECT_ENVIRONMENT"])) / ("python.exe" if IS_WINDOWS else "python")


def become(command: List[str], environ: Dict[str, str]) -> NoReturn:
    """Replace this process by `command`, so that signals and the exit code need no passing on."""
    sys.stdout.flush()
    sys.stderr.flush()
    if not IS_WINDOWS:
        os.execve(command[0], command, environ)
    process = subprocess.Popen(command, env=environ)
    while True:
        try:
            sys.exit(process.wait())
        except KeyboardInterrupt:
            # The child got Ctrl-C as well and is putting its things in order.
            continue


def _need_python() -> None:
    if sys.version_info[:2] >= NEEDED:
        return
    better = find_python()
    if better is None:
        needed, have = "{}.{}".format(*NEEDED), "{}.{}".format(*sys.version_info[:2])
        raise CannotStart(
            f"需要 Python {needed} 或更新版本：当前为 {have}，PATH 中也没有更新的版本，请安装后重试",
            f"Python {needed} or newer is needed: this is {have} and PATH has no newer one; install it and try again",
        )
    become([*better, str(Path(sys.argv[0]).absolute()), *sys.argv[1:]], dict(os.environ))


def _environment_folder() -> Path:
    if os.access(str(ROOT), os.W_OK):
        return ROOT / ".venv"
    return data_folder() / "env"


def _programs(folder: Path) -> Path:
    return folder / ("Scripts" if IS_WINDOWS else "bin")


def _private_uv() -> Path:
    return data_folder() / "tools" / ("uv.exe" if IS_WINDOWS else "uv")


def _uv_by_venv(workshop: Path) -> Optional[Path]:
    folder = workshop / "venv"
    if not _is_ok([sys.executable, "-m", "venv", str(folder)]):
        # Debian and Ubuntu ship Python without ensurepip.
        return None
    python = _programs(folder) / ("python.exe" if IS_WINDOWS else "python")
    _pip_install([str(python), "-m", "pip", "install"])
    return _programs(folder) / _private_uv().name


def _uv_by_pip(workshop: Path) -> Path:
    if not _is_ok([sys.executable, "-m", "pip", "--version"]):
        raise CannotStart(
            "本机的 Python 没有 venv 与 pip，无法安装 uv：请先安装其一（Debian/Ubuntu：apt install python3-venv），或自行安装 uv",
            "this Python has neither venv nor pip, so uv cannot be installed: install one of them "
            "(Debian/Ubuntu: apt install python3-venv) or uv itself",
        )
    folder = workshop / "target"
    _pip_install([sys.executable, "-m", "pip", "install", "--target", str(folder)])
    return folder / "bin" / _private_uv().name


def _pip_install(command: List[str]) -> None:
    wanted = "uv>={}.{}".format(*OLDEST_UV)
    result = _run(
        [*command, "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", wanted], dict(os.environ)
    )
    if result.returncode:
        _say("\n" + result.stdout.strip())
        raise CannotStart(
            "无法安装 uv，原因见上。请检查到软件包仓库的网络后重试，或自行安装 uv",
            "uv could not be installed, see above; check the network to the package registry, or install uv yourself",
            UNAVAILABLE,
        )


def _uv_version(program: str) -> Tuple[int, ...]:
    try:
        result = _run([program, "--version"], dict(os.environ))
        return tuple(int(part) for part in result.stdout.split()[1].split(".")[:2])
    except (OSError, ValueError, IndexError):
        return (0, 0)


def _is_ok(command: List[str]) -> bool:
    try:
        return _run(command, dict(os.environ)).returncode == 0
    except OSError:
        return False


def _run(command: List[str], environ: Dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        check=False,
    )


def _speak_utf8() -> None:
    for stream in (sys.stdout, sys.stderr):
        # Python 3.6 has no such method; a console that cannot show a character must not stop the set-up.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="replace")


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()
