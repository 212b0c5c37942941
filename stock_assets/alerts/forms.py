"""An alert in the form that its receiver wants: 飞书, 企业微信, 钉钉, Slack, or plain JSON for anybody else.

Sources: the robots' own pages, 飞书 自定义机器人, 企业微信 群机器人, 钉钉 自定义机器人 and Slack incoming webhooks. All but Slack say with
HTTP 200 that they refuse, in a number of the body.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, cast
from urllib.parse import urlencode, urlsplit

from stock_assets.domain.alerts import Alert, AlertForm
from stock_assets.domain.calendar import SHANGHAI

Body = Mapping[str, object]

_NAMED = 20
# Of 企业微信, the strictest: 2048 bytes of UTF-8.
_TEXT_BYTES = 2_000
_HOSTS: Final[Mapping[str, AlertForm]] = {
    "open.feishu.cn": "feishu",
    "open.larksuite.com": "feishu",
    "qyapi.weixin.qq.com": "wecom",
    "oapi.dingtalk.com": "dingtalk",
    "hooks.slack.com": "slack",
}
_NUMBERS = ("code", "StatusCode", "errcode")


def form_of(url: str) -> AlertForm:
    """Return the form for an address: by its host, plain JSON for an unknown one."""
    try:
        return _HOSTS.get(urlsplit(url).hostname or "", "generic")
    except ValueError:
        return "generic"


def message(  # noqa: PLR0913  what, to whom, when
    form: AlertForm, url: str, alert: Alert, now: datetime, *, secret: str | None = None, stamp: float = 0.0
) -> tuple[str, Body]:
    """Return the address to post to and the JSON body.

    `secret` signs messages to 飞书 and 钉钉; `stamp` is the signature's time in seconds since 1970, which must be the real one.
    """
    if form == "auto":
        form = form_of(url)
    return _FORMS[form](url, alert, now, secret, stamp)


def refusal(answer: bytes) -> str:
    """Return the number with which a receiver refused what it took with HTTP 200, in words; nothing when it took it."""
    try:
        said: object = json.loads(answer)
    except ValueError:
        return ""
    if not isinstance(said, dict):
        return ""
    numbers = cast("dict[str, Any]", said)
    return next(
        (f"{name} {numbers[name]}" for name in _NUMBERS if isinstance(numbers.get(name), int) and numbers[name]), ""
    )


def plain_body(alert: Alert, now: datetime) -> Body:
    """Return plain JSON: `what`, `job`, `items` (at most 20) of `items_total`, `zh`, `en`, `next`, `at`."""
    return {
        "what": alert.cause,
        "job": alert.job_type,
        "items": list(alert.items[:_NAMED]),
        "items_total": len(alert.items),
        "zh": alert.zh,
        "en": alert.en,
        "next": alert.command,
        "at": now.astimezone(SHANGHAI).isoformat(timespec="seconds"),
    }


def text_of(alert: Alert, now: datetime) -> str:
    """Return an alert as lines for a chat, Chinese first; they begin with the word `stock-assets`, a keyword to allow."""
    lines = [f"[stock-assets] {alert.zh}", alert.en[:1].upper() + alert.en[1:]]
    if alert.items:
        more = len(alert.items) - _NAMED
        named = ", ".join(alert.items[:_NAMED]) + (f" … (+{more})" if more > 0 else "")
        lines.append(f"涉及 | about: {named}")
    lines.append(f"下一步 | next: {alert.command}")
    lines.append(f"{now.astimezone(SHANGHAI):%Y-%m-%d %H:%M}（北京时间 | Shanghai time）")
    text = "\n".join(lines).encode()
    return text.decode() if len(text) <= _TEXT_BYTES else text[:_TEXT_BYTES].decode(errors="ignore") + "…"


_Form = Callable[[str, Alert, datetime, str | None, float], tuple[str, Body]]


def _generic(url: str, alert: Alert, now: datetime, secret: str | None, stamp: float) -> tuple[str, Body]:
    del secret, stamp
    return url, plain_body(alert, now)


def _feishu(url: str, alert: Alert, now: datetime, secret: str | None, stamp: float) -> tuple[str, Body]:
    body: dict[str, object] = {"msg_type": "text", "content": {"text": text_of(alert, now)}}
    if secret is not None:
        moment = str(int(stamp))
        body |= {"timestamp": moment, "sign": _signed(f"{moment}\n{secret}", "")}
    return url, body


def _wecom(url: str, alert: Alert, now: datetime, secret: str | None, stamp: float) -> tuple[str, Body]:
    del secret, stamp
    return url, {"msgtype": "text", "text": {"content": text_of(alert, now)}}


def _dingtalk(url: str, alert: Alert, now: datetime, secret: str | None, stamp: float) -> tuple[str, Body]:
    body = {"msgtype": "text", "text": {"content": text_of(alert, now)}}
    if secret is None:
        return url, body
    moment = str(int(stamp * 1000))
    signature = urlencode({"timestamp": moment, "sign": _signed(secret, f"{moment}\n{secret}")})
    return f"{url}{'&' if '?' in url else '?'}{signature}", body


def _slack(url: str, alert: Alert, now: datetime, secret: str | None, stamp: float) -> tuple[str, Body]:
    del secret, stamp
    text = text_of(alert, now).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return url, {"text": text}


def _signed(key: str, words: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), words.encode(), hashlib.sha256).digest()).decode()


_FORMS: Final[Mapping[str, _Form]] = {
    "generic": _generic,
    "feishu": _feishu,
    "wecom": _wecom,
    "dingtalk": _dingtalk,
    "slack": _slack,
}
