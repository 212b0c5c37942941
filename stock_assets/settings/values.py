"""How the text of a setting is read, and the refusals of what cannot be used."""

import re
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}")
_DATABASE_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")


class NotAllowed(ValueError):
    """A refusal with a sentence of its own; the variable's name is put in front of it."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh = zh
        self.en = en


def usable_folder(value: Path) -> Path:
    """Return the absolute path of a folder that exists or may be made."""
    try:
        path = value.expanduser().absolute()
    except RuntimeError as error:
        raise NotAllowed(
            "“~”无法展开：本用户没有主目录", "“~” cannot be expanded: this user has no home folder"
        ) from error
    if path.exists() and not path.is_dir():
        raise NotAllowed(f"“{path}”是文件，需要一个文件夹", f"“{path}” is a file where a folder is needed")
    return path


def usable_database_url(value: SecretStr) -> SecretStr:
    """Return the address of a PostgreSQL database; a refusal never shows it."""
    zh = "需要形如 postgresql://用户:密码@主机:5432/库名 的地址（值不予显示）"
    en = "must look like postgresql://user:password@host:5432/database (the value is not shown)"
    try:
        parts = urlsplit(value.get_secret_value())
        is_usable = parts.scheme in _DATABASE_SCHEMES and len(parts.path) > 1 and parts.port != 0
    except ValueError as error:
        raise NotAllowed(zh, en) from error
    if not is_usable:
        raise NotAllowed(zh, en)
    return value


def as_date(value: object) -> object:
    """Return the date of a text such as 2026-01-05 or 20260105; anything else but a date is refused."""
    # pydantic would read 20260105 as seconds since 1970.
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        return date.fromisoformat(value.strip())
    if isinstance(value, date):
        return value
    raise ValueError(value)


def stripped(value: object) -> object:
    """Return a text without white space around it."""
    return value.strip() if isinstance(value, str) else value


def lowered(value: object) -> object:
    """Return a text in small letters, without white space around it."""
    return value.strip().lower() if isinstance(value, str) else value


def raised(value: object) -> object:
    """Return a text in capital letters, without white space around it."""
    return value.strip().upper() if isinstance(value, str) else value
