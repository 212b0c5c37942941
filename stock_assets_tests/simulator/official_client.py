"""What the official client returns, read to its end."""

from typing import Protocol


class Result(Protocol):
    """What the official client returns."""

    error_code: str
    error_msg: str

    def next(self) -> bool: ...

    def get_row_data(self) -> list[str]: ...


def rows_of(result: Result) -> list[list[str]]:
    rows: list[list[str]] = []
    while result.error_code == "0" and result.next():
        rows.append(result.get_row_data())
    assert result.error_code == "0", result.error_msg
    return rows
