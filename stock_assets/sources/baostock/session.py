"""One logged-in connection to BaoStock: a private copy of the official package on a guarded socket."""

import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

from stock_assets.domain.errors import AnswerBroken, SessionExpired, SourceUnavailable, StockAssetsError
from stock_assets.sources.baostock.frames import SOURCE, SUCCESS, answer_types_of
from stock_assets.sources.baostock.guard import Deadlines, GuardedSocket
from stock_assets.sources.baostock.private_copy import PrivateCopy, function_of
from stock_assets.sources.baostock.refusals import error_for

# These answer whole. Their requests have the date where others have the page, so that asking for a next page, which the
# package does after exactly one full page of rows, would ask for a day called "2".
_NEVER_PAGED: Final = frozenset(
    {"query_daily_history_k_AStock", "query_daily_history_k_ETF", "query_daily_adjust_factor"}
)
# The longest answer there is, the calendar since 1990, has 7 pages; a server that ignores the page number never ends.
_MOST_PAGES: Final = 50
# Every page size a server has been seen with is a multiple of this; a total that is one may have been cut.
_SMALLEST_CAP: Final = 500
# What the package's own parsing raises on a frame that is whole and still not what it expects.
_PARSE_ERRORS: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Reply:
    """The rows of one call, all pages in order, in the source's own columns.

    `lost` is the failure that ended the paging early: more rows exist than `rows` holds.
    """

    fields: tuple[str, ...]
    rows: list[list[str]]
    pages: int
    lost: StockAssetsError | None = None


def _nothing(_api_name: str) -> None:
    pass


class BaoStockSession:
    """A log-in to BaoStock and the calls made under it, one at a time.

    `host` and `port` are the package's own unless given; with an `api_key` it chooses the host for key holders.
    `before_request` is called with the api name before each frame leaves, log-in, log-out and every page included;
    what it raises reaches the caller and nothing is sent.
    """

    def __init__(  # noqa: PLR0913 - each is one decision of the caller
        self,
        *,
        host: str | None = None,
        port: int | None = None,
        deadlines: Deadlines | None = None,
        api_key: str | None = None,
        before_request: Callable[[str], None] = _nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Load the private copy; `login` connects."""
        self._deadlines = deadlines or Deadlines()
        self._before_request = before_request
        self._clock = clock
        self._api_key = api_key
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._is_logged_in = False
        self._logged_in_at = self._last_used = clock()
        self._copy = PrivateCopy()
        contants = self._copy.module("baostock.common.contants")
        constants: Any = contants
        if host is not None:
            constants.BAOSTOCK_SERVER_IP = constants.BAOSTOCK_VIP_SERVER_IP = host
        if port is not None:
            constants.BAOSTOCK_SERVER_PORT = port
        self._constants = constants
        self._page_rows: int = constants.BAOSTOCK_PER_PAGE_COUNT
        self._guard = GuardedSocket(
            self._deadlines,
            before_request=before_request,
            answer_types=answer_types_of(vars(contants)),
            compressed_types=frozenset(constants.COMPRESSED_MESSAGE_TYPE_TUPLE),
        )
        socketutil: Any = self._copy.module("baostock.util.socketutil")
        socketutil.socket = SimpleNamespace(
            socket=self._give_guard, AF_INET=socket.AF_INET, SOCK_STREAM=socket.SOCK_STREAM
        )

    def _give_guard(self, *_family_and_kind: object) -> GuardedSocket:
        return self._guard

    def __repr__(self) -> str:
        """Return the state, never the key."""
        state = "logged in" if self.is_usable else "not usable"
        return f"<BaoStockSession {state}, {self.age_seconds:.0f} s old>"

    @property
    def is_usable(self) -> bool:
        """True while logged in on a connection that never failed, in the process that opened it."""
        return self._is_logged_in and self._guard.is_open and os.getpid() == self._process

    @property
    def is_quiet(self) -> bool:
        """True when the peer has neither closed the idle connection nor sent anything unasked."""
        return self.is_usable and self._guard.is_quiet()

    @property
    def age_seconds(self) -> float:
        """Seconds since the log-in."""
        return self._clock() - self._logged_in_at

    @property
    def last_used(self) -> float:
        """When the last call ended, by the session's clock."""
        return self._last_used

    def login(self) -> None:
        """Connect and log in.

        Errors: any `SourceError`; the connection is then closed.
        """
        with self._lock:
            self._before_request("login")
            if self._api_key:
                function_of(self._copy, "set_API_key")(self._api_key)
            try:
                self._ask("login")
            except BaseException:
                self._guard.close()
                raise
            self._is_logged_in = True
            self._logged_in_at = self._last_used = self._clock()

    def call(self, function_name: str, page_rows: int | None = None, /, **arguments: str) -> Reply:
        """Return what the package's function of this name answers, all pages read.

        With `page_rows` larger pages are asked for; an answer that may have been cut at a smaller size is not used, and
        the pages are read again at the package's own size.

        Errors: any `SourceError`. A failure after the first page is not raised: `Reply.lost` holds it.
        """
        self._require_own_process()
        with self._lock:
            self._require_login()
            try:
                if page_rows is not None:
                    with self._pages_of(page_rows):
                        reply = self._all_pages(function_name, self._ask(function_name, **arguments))
                    if reply.lost is None and len(reply.rows) % _SMALLEST_CAP:
                        return reply
                return self._all_pages(function_name, self._ask(function_name, **arguments))
            finally:
                self._last_used = self._clock()

    def logout(self) -> None:
        """Log out within the close deadline and close the connection.

        Errors: any `SourceError`; the connection is closed in every case.
        """
        self._require_own_process()
        with self._lock:
            self._require_login()
            self._guard.hurry(self._deadlines.close_seconds)
            try:
                self._ask("logout")
            finally:
                self._is_logged_in = False
                self._guard.close()

    def close(self) -> None:
        """Log out if that still works, close the connection in any case, and never raise."""
        if self.is_usable:
            try:
                self.logout()
            except StockAssetsError:
                # The peer sees the connection end all the same.
                return
        # A forked child closes its own descriptor here; the parent's connection is not told.
        self._is_logged_in = False
        self._guard.close()

    @contextmanager
    def _pages_of(self, rows: int) -> Generator[None]:
        usual = self._page_rows
        self._page_rows = self._constants.BAOSTOCK_PER_PAGE_COUNT = rows
        try:
            yield
        finally:
            self._page_rows = self._constants.BAOSTOCK_PER_PAGE_COUNT = usual

    def _require_own_process(self) -> None:
        # Asked before the lock is taken: a fork may have copied it in the hands of a thread that the child lacks.
        if os.getpid() != self._process:
            raise SourceUnavailable(source=SOURCE, reason="the session belongs to another process")

    def _require_login(self) -> None:
        if not self._guard.is_open and self._guard.failure is not None:
            raise SourceUnavailable(source=SOURCE, reason="the connection failed before") from self._guard.failure
        if not self.is_usable:
            raise SessionExpired(source=SOURCE)

    def _ask(self, function_name: str, **arguments: str) -> Any:  # noqa: ANN401 - the package's untyped result
        function = function_of(self._copy, function_name)
        result = self._run(function_name, lambda: function(**arguments))
        if result is None:
            # Some functions print what is wrong with an argument and return nothing.
            raise error_for("10004005", self._printed(), api=function_name)
        if result.error_code != SUCCESS:
            raise self._error(result, function_name)
        return result

    def _run(self, function_name: str, step: Callable[[], Any]) -> Any:  # noqa: ANN401 - the package's untyped result
        """Let the package work, then raise what the guard has kept: the package has swallowed it."""
        self._guard.forget_refusal()
        self._guard.last_parts = ()
        self._copy.printed.clear()
        try:
            result = step()
        except _PARSE_ERRORS as error:
            if self._guard.failure is not None:
                raise self._guard.failure from error
            if not self._guard.last_parts:
                raise
            self._guard.close()
            raise AnswerBroken(source=SOURCE, api=function_name, reason="the answer cannot be read") from error
        if self._guard.failure is not None:
            raise self._guard.failure
        return result

    def _all_pages(self, function_name: str, result: Any) -> Reply:  # noqa: ANN401 - the package's untyped result
        rows: list[list[str]] = list(result.data)
        pages, lost = 1, None
        while function_name not in _NEVER_PAGED and len(result.data) == self._page_rows:
            try:
                result.cur_row_num = len(result.data)
                has_more = self._run(function_name, result.next)
                if result.error_code != SUCCESS:
                    raise self._error(result, function_name)
            except StockAssetsError as error:
                lost = error
                break
            if not has_more:
                break
            if result.data == rows[-self._page_rows :]:
                lost = AnswerBroken(source=SOURCE, api=function_name, reason="the same page came twice")
                self._guard.close()
                break
            if pages == _MOST_PAGES:
                lost = AnswerBroken(source=SOURCE, api=function_name, reason="the pages have no end")
                self._guard.close()
                break
            pages += 1
            rows += result.data
        return Reply(tuple(result.fields), rows, pages, lost or self._missing_rows(function_name, result))

    def _missing_rows(self, function_name: str, result: Any) -> StockAssetsError | None:  # noqa: ANN401
        if function_name in _NEVER_PAGED:
            return None
        # A server that lowers the page size on its own echoes the smaller one, and a full page of that size makes the
        # package stop; a last page is shorter than every page size involved.
        echoed = str(result.per_page_count)
        if not result.data or len(result.data) not in {self._page_rows, int(echoed) if echoed.isdigit() else 0}:
            return None
        return AnswerBroken(source=SOURCE, api=function_name, reason="the page after a full page never came")

    def _error(self, result: Any, function_name: str) -> StockAssetsError:  # noqa: ANN401 - the package's untyped result
        error = error_for(str(result.error_code), self._masked(str(result.error_msg)), api=function_name)
        if isinstance(error, SessionExpired):
            self._is_logged_in = False
            self._guard.close()
        return error

    def _printed(self) -> str:
        return self._masked(" ".join(self._copy.printed))

    def _masked(self, text: str) -> str:
        return text.replace(self._api_key, "***") if self._api_key else text
