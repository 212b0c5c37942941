"""Settings read from the environment and `.env`, refused in one sentence, and listed for documents."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError

from stock_assets.domain.errors import ConfigurationError
from stock_assets.settings.fields import Settings
from stock_assets.settings.values import NotAllowed


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting as documents describe it; `default` is empty where the setting is unset by default."""

    env: str
    field: str
    default: str
    zh: str
    en: str
    allowed_zh: str
    allowed_en: str
    is_secret: bool


def knobs() -> Iterator[Knob]:
    """Return every setting in the order in which documents list them."""
    for name, field in Settings.model_fields.items():
        facts = _facts(field)
        yield Knob(
            env=str(field.validation_alias),
            field=name,
            default="" if field.default is None else str(field.default),
            is_secret="SecretStr" in str(field.annotation),
            **facts,
        )


def load_settings() -> Settings:
    """Return the settings of the environment and of `.env` in the working directory.

    Errors: `ConfigurationError` with the first value that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        # Without the cause: its text and its frames hold the refused value, which may be a secret.
        raise _refusal(error) from None
    except (SettingsError, UnicodeDecodeError, OSError) as error:
        path = Path(".env").absolute()
        raise ConfigurationError(
            problem_zh=f"无法读取 {path}（{type(error).__name__}），需要 UTF-8 文本，每行一个 名称=值",
            problem=f"{path} cannot be read ({type(error).__name__}): it must be UTF-8 text with one NAME=value per line",
        ) from None


def _facts(field: FieldInfo) -> dict[str, str]:
    return cast("dict[str, str]", field.json_schema_extra)


def _refusal(error: ValidationError) -> ConfigurationError:
    first = error.errors(include_url=False)[0]
    location = str(first["loc"][0])
    knob = next(knob for knob in knobs() if location in (knob.env, knob.field))
    reason = first.get("ctx", {}).get("error")
    if isinstance(reason, NotAllowed):
        zh, en = reason.zh, reason.en
    elif knob.is_secret:
        zh, en = f"需要 {knob.allowed_zh}（值不予显示）", f"must be {knob.allowed_en} (the value is not shown)"
    else:
        zh, en = f"需要 {knob.allowed_zh}，现为“{first['input']}”", f"must be {knob.allowed_en}, not “{first['input']}”"
    return ConfigurationError(
        problem_zh=f"设置 {knob.env} 有误：{zh}", problem=f"setting {knob.env} is wrong: {en}", variable=knob.env
    )
