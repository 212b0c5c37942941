"""A client that sees every byte: what a fault does to an answer can only be seen below the real client."""

import socket
from types import TracebackType
from typing import Self

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.wire import END_MARK, Frame, decode_response, encode_request


class RawClient:
    def __init__(self, server: BaoStockServer, *, log_in: bool = True, timeout_seconds: float = 5.0) -> None:
        self.socket = socket.create_connection((server.host, server.port), timeout=timeout_seconds)
        if log_in:
            assert self.ask("00", "login", "anonymous", "123456", "0").parts[0] == "0"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, message_type: str, *parts: str) -> None:
        self.socket.sendall(encode_request(Frame("00.9.40", message_type, parts)))

    def receive(self) -> bytes:
        """Return the bytes up to the end mark, or what there is when the server closes the connection."""
        data = b""
        while not data.endswith(END_MARK) and (more := self.socket.recv(65536)):
            data += more
        return data

    def ask(self, message_type: str, *parts: str) -> Frame:
        self.send(message_type, *parts)
        return decode_response(self.receive())

    def ask_day(self, day: str) -> Frame:
        return self.ask("98", "query_daily_history_k_AStock", "anonymous", day)

    def ask_calendar(self, start: str = "2024-01-01", end: str = "2024-01-31") -> Frame:
        return self.ask("33", "query_trade_dates", "anonymous", "1", "2000", start, end)

    def ask_bars(self, code: str, start: str, end: str, *, page: int = 1, per_page: int = 2000) -> Frame:
        paging = (str(page), str(per_page))
        fields = "date,code,close"
        return self.ask("95", "query_history_k_data_plus", "anonymous", *paging, code, fields, start, end, "d", "3")
