"""Help and usage errors in one language: texts are written `中文 | English`, and the half that is asked for is shown.

Click's own phrases are translated here as well; how commands behave is not changed.
"""

import copy
import inspect
from collections.abc import Iterable, Sequence

import click

from stock_assets.domain.errors import Language

_PHRASES = {
    "Usage: ": "用法：",
    "Options": "选项",
    "Commands": "命令",
    "Show this message and exit.": "显示本说明",
    "Show the version and exit.": "显示版本",
    "[required]": "[必填]",
    "[default: ": "[默认 ",
    "; required]": "；必填]",
    "[OPTIONS]": "[选项]",
    "COMMAND [ARGS]...": "命令 [参数]...",
}


def half(text: str, language: Language) -> str:
    """Return the asked half of `中文 | English`, paragraph by paragraph; one without a bar is for both."""
    return "\n\n".join(_half_of_paragraph(part, language) for part in inspect.cleandoc(text).split("\n\n"))


def _half_of_paragraph(text: str, language: Language) -> str:
    zh, _, en = (part.strip() for part in text.partition("|"))
    return zh if language == "zh" or not en else en[:1].upper() + en[1:]


def spoken(command: click.Command, language: Language) -> click.Command:
    """Return a copy of a command, with all below it, that speaks one language."""
    twin = copy.copy(command)
    twin.help = half(command.help or "", language)
    # A short help is never cut; what is derived from the long one is.
    twin.short_help = twin.help.partition("\n\n")[0].removesuffix(".")
    twin.epilog = half(command.epilog, language) if command.epilog else None
    twin.params = [_spoken_parameter(parameter, language) for parameter in command.params]
    if language == "zh":
        twin.context_class = _ChineseContext
    if isinstance(twin, click.Group):
        twin.commands = {name: spoken(below, language) for name, below in twin.commands.items()}
    return twin


def _spoken_parameter(parameter: click.Parameter, language: Language) -> click.Parameter:
    twin = copy.copy(parameter)
    if isinstance(twin, click.Option) and twin.help:
        twin.help = half(twin.help, language)
    return twin


class _ChineseFormatter(click.HelpFormatter):
    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, _translated(args), _translated(prefix or "Usage: "))

    def write_heading(self, heading: str) -> None:
        # A Chinese colon; click's own is added after the heading.
        self.write(f"{'':>{self.current_indent}}{_translated(heading)}：\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl([(left, _translated(right)) for left, right in rows], col_max, col_spacing)


class _ChineseContext(click.Context):
    formatter_class = _ChineseFormatter


def _translated(text: str) -> str:
    for phrase, zh in _PHRASES.items():
        text = text.replace(phrase, zh)
    return text


def usage_sentence(error: click.ClickException, language: Language) -> str:
    """Return a usage error as one sentence with the command to look up."""
    is_zh = language == "zh"
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "stock-assets"
    what = (_zh(error) if is_zh else _en(error)).rstrip(".。")
    return f"{what}；用法见 {path} --help" if is_zh else f"{what}; see `{path} --help`"


def _zh(error: click.ClickException) -> str:
    match error:
        case click.exceptions.NoSuchCommand():
            return f"没有命令 {error.command_name}" + _meant(error.possibilities, "（是否要用 {}）")
        case click.NoSuchOption():
            return f"没有选项 {error.option_name}" + _meant(error.possibilities, "（是否要用 {}）")
        case click.MissingParameter():
            return f"缺少{'参数' if isinstance(error.param, click.Argument) else '选项'} {_name(error)}"
        case click.BadParameter() if (allowed := _allowed(error.param, "zh")) is not None:
            return f"{_name(error)} 的值有误：需要{allowed}"
        case click.BadOptionUsage():
            return f"选项 {error.option_name} 需要一个值"
        case _:
            return f"命令写法有误（{error.format_message().rstrip('.')}）"


def _en(error: click.ClickException) -> str:
    match error:
        case click.exceptions.NoSuchCommand():
            return f"there is no command {error.command_name}" + _meant(error.possibilities, " (did you mean {}?)")
        case click.NoSuchOption():
            return f"there is no option {error.option_name}" + _meant(error.possibilities, " (did you mean {}?)")
        case click.MissingParameter():
            return f"{'argument' if isinstance(error.param, click.Argument) else 'option'} {_name(error)} is missing"
        case click.BadParameter() if (allowed := _allowed(error.param, "en")) is not None:
            return f"the value of {_name(error)} must be {allowed}"
        case _:
            message = error.format_message()
            return message[:1].lower() + message[1:]


def _meant(possibilities: Sequence[str] | None, form: str) -> str:
    return form.format(possibilities[0]) if possibilities else ""


def _name(error: click.BadParameter) -> str:
    parameter = error.param
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return parameter.human_readable_name if parameter is not None else ""


def _allowed(parameter: click.Parameter | None, language: Language) -> str | None:
    """Return what a parameter takes, or None where click's own words must do."""
    is_zh = language == "zh"
    match parameter.type if parameter is not None else None:
        case click.Choice(choices=choices):
            names = [str(choice) for choice in choices]
            return f" {'、'.join(names)} 之一" if is_zh else f"one of {', '.join(names)}"
        case click.IntRange() | click.FloatRange() as numbers:
            whole, least = isinstance(numbers, click.IntRange), numbers.min or 0
            return (_range_zh if is_zh else _range_en)(least, numbers.max, whole=whole)
        case click.Path(file_okay=False):
            return "一个已有的文件夹" if is_zh else "an existing folder"
        case _:
            return None


def _range_zh(least: float, most: float | None, *, whole: bool) -> str:
    kind = "整数" if whole else "数"
    return f" {least:g} 到 {most:g} 的{kind}" if most is not None else f"不小于 {least:g} 的{kind}"


def _range_en(least: float, most: float | None, *, whole: bool) -> str:
    kind = "a whole number" if whole else "a number"
    return f"{kind} from {least:g} to {most:g}" if most is not None else f"{kind} from {least:g} up"
