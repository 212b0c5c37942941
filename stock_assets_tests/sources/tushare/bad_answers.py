"""What the live service refuses with, word by word, and bodies that are no answer."""

from __future__ import annotations

from typing import Final

DETAILS: Final = "权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。"

# Today's wording and the older one, with the code that came with them.
TEXTS: Final[tuple[tuple[int, str], ...]] = (
    (40203, "抱歉，您访问接口(income)频率超限(500次/分钟)"),
    (40203, f"抱歉，您每分钟最多访问该接口200次，{DETAILS}"),
    (40203, "抱歉，您访问接口(daily)频率超限"),
    (40203, "抱歉，您访问接口(stock_basic)频率超限(1次/小时)"),
    (40203, f"抱歉，您每小时最多访问该接口1次，{DETAILS}"),
    (40203, "抱歉，您访问接口(stock_basic)频率超限(5次/天)"),
    (40203, f"抱歉，您每天最多访问该接口2次，{DETAILS}"),
    (40203, f"抱歉，您没有接口(fund_daily)访问权限，{DETAILS}"),
    (2002, "权限不足"),
    (40203, "您的积分不够"),
    (40101, "您的token不对，请确认。"),
    (40101, "您上传Token为空"),
    (40203, "您的IP数量超限，最大数量为2个！"),
    (40203, "您的IP数量超限，最大数量为5个！"),
    (40101, "请指定正确的接口名"),
    (50101, "必填参数, ts_code"),
    (50101, "列表个数超过限制1000个"),
    (-2001, "系统内部错误"),
    (50000, ""),
)

STATUSES: Final = (302, 400, 401, 403, 404, 413, 429, 500, 502, 503, 504)

# By name; the second name is Chinese.
BODIES: Final[dict[str, tuple[str, bytes]]] = {
    "nothing": ("空", b""),
    "html": ("网页", b"<html><body>502</body></html>"),
    "half": ("在半途截断", b'{"code": 0, "data": {"fields": ["a"], "items": [[1'),
    "a list": ("列表", b"[]"),
    "a number": ("数字", b"0"),
    "null": ("null", b"null"),
    "no code": ("没有 code", b'{"data": {"fields": [], "items": []}, "msg": ""}'),
    "null code": ("code 为 null", b'{"code": null, "data": {"fields": [], "items": []}}'),
    "a truth for a code": ("code 为 false", b'{"code": false, "data": {"fields": [], "items": []}}'),
    "null data": ("data 为 null", b'{"code": 0, "data": null, "msg": ""}'),
    "no data": ("没有 data", b'{"code": 0, "msg": ""}'),
    "data as a list": ("data 为列表", b'{"code": 0, "data": []}'),
    "null rows": ("items 为 null", b'{"code": 0, "data": {"fields": ["ts_code"], "items": null}}'),
    "no rows": ("没有 items", b'{"code": 0, "data": {"fields": ["ts_code"]}}'),
    "null columns": ("fields 为 null", b'{"code": 0, "data": {"fields": null, "items": []}}'),
    "no columns": ("fields 为空", b'{"code": 0, "data": {"fields": [], "items": []}}'),
    "numbered columns": ("列名为数字", b'{"code": 0, "data": {"fields": [1], "items": []}}'),
    "other columns": ("列不是所要的", b'{"code": 0, "data": {"fields": ["ts_code", "price"], "items": []}}'),
    "short row": ("行缺一个值", b'{"code": 0, "data": {"fields": ["a", "b"], "items": [[1]]}}'),
    "long row": ("行多一个值", b'{"code": 0, "data": {"fields": ["a"], "items": [[1, 2]]}}'),
    "null row": ("行为 null", b'{"code": 0, "data": {"fields": ["a"], "items": [null]}}'),
    "row as an object": ("行为对象", b'{"code": 0, "data": {"fields": ["a"], "items": [{"a": 1}]}}'),
    "value as a list": ("值为列表", b'{"code": 0, "data": {"fields": ["a"], "items": [[[1]]]}}'),
    "value as a truth": ("值为 true", b'{"code": 0, "data": {"fields": ["a"], "items": [[true]]}}'),
    "not utf-8": ("不是 UTF-8", b'{"code": 0, "data": {"fields": ["a"], "items": [["\xff"]]}}'),
    "very deep": ("嵌套过深", b"[" * 100_000),
}
