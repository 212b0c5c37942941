"""Single requests: the official package makes them, the first address that speaks the protocol carries them."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from stock_assets.domain.errors import AnswerBroken, ConfigurationError, SourceError, SourceUnavailable
from stock_assets.sources.tushare import replies
from stock_assets.sources.tushare.package import Body, data_api
from stock_assets.sources.tushare.replies import Reply
from stock_assets.sources.tushare.transport import Transport

_log = structlog.get_logger(__name__)

DEFAULT_ADDRESSES: Final = ("https://api.tushare.pro", "http://api.waditu.com/dataapi")
"""Encrypted first; the second is the official package's own, which sends the token in the clear."""


def addresses_of(url: str | None) -> tuple[str, ...]:
    """Return the addresses to try in order: `url` with the scheme it has, or https and then http where it has none.

    Errors: `ConfigurationError` when `url` is no address of HTTP.
    """
    if not url:
        return DEFAULT_ADDRESSES
    chosen = (url,) if "://" in url else (f"https://{url}", f"http://{url}")
    parts = urlsplit(chosen[0])
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(
            problem="TUSHARE_URL must be an address that begins with https:// or http://",
            problem_zh="TUSHARE_URL 需要 https:// 或 http:// 开头的地址",
        )
    return tuple(address.rstrip("/") for address in chosen)


@dataclass(frozen=True, slots=True)
class _Address:
    url: str
    query: Callable[..., Reply]


class TushareApi:
    """One account on one transport; safe for many threads.

    The token appears in request bodies alone: never in an error, a log line or a `repr`.
    """

    def __init__(self, token: SecretStr, transport: Transport, *, addresses: Sequence[str] = DEFAULT_ADDRESSES) -> None:
        """Connect nothing yet."""
        self._token = token
        self._transport = transport
        self._lock = threading.Lock()
        self._chosen: _Address | None = None
        self._addresses = tuple(self._address(url) for url in addresses)

    def query(self, api: str, fields: Sequence[str], params: Mapping[str, str]) -> Reply:
        """Return the answer to one request, from the first address that has ever answered in the protocol.

        Until one has, an address that cannot be reached, or that speaks something else, makes way for the next.

        Errors: those of `Transport.post` and `replies.read`.
        """
        asked = ",".join(fields)
        if self._chosen is not None:
            return self._chosen.query(api, asked, **params)
        *others, last = self._addresses
        for address in others:
            try:
                return self._first_query(address, api, asked, params)
            except (SourceUnavailable, AnswerBroken) as error:
                if self._chosen is not None:
                    raise
                _log.warning("tushare.next_address", reason=str(error.facts["reason"]))
        return self._first_query(last, api, asked, params)

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def _first_query(self, address: _Address, api: str, fields: str, params: Mapping[str, str]) -> Reply:
        try:
            reply = address.query(api, fields, **params)
        except SourceError as error:
            # A refusal is an answer too.
            if "code" in error.facts:
                self._choose(address)
            raise
        self._choose(address)
        return reply

    def _choose(self, address: _Address) -> None:
        with self._lock:
            self._chosen = self._chosen or address

    def _address(self, url: str) -> _Address:
        # An address without a path is the protocol's older form: the interface is named in the body alone.
        is_bare = not urlsplit(url).path

        def post(target: str, body: Body) -> Reply:
            api = str(body["api_name"])
            answer = self._transport.post(url if is_bare else target, json.dumps(body).encode(), api=api)
            return replies.read(answer, api=api, hide=self._hide)

        return _Address(url, data_api(self._token.get_secret_value(), url, post))

    def _hide(self, text: str) -> str:
        token = self._token.get_secret_value()
        return text.replace(token, "***") if token else text
