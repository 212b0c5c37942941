"""The contracts of the finance tables, made from the one list of fields in `finance_fields`."""

from typing import Final

from stock_assets.domain.contract import Column, Table
from stock_assets.domain.finance_fields import FINANCE_FIELDS
from stock_assets.domain.finance_words import FINANCE_WORDS

VALUES: Final = tuple(field.name for field in FINANCE_FIELDS if field.unit)
"""The figures of a report: every field but its codes, days and flag."""

_RUN_ID = Column("run_id", "text", "写入该行的运行编号", "run that wrote the row", nullable=True)
_FIRST_SEEN = "首次收到该内容的时间", "when this content was first received"
_TEXTS = {
    "ts_code": "code",
    "ann_date": "day of the announcement; empty where the source names none",
    "end_date": "period's last day",
    "update_flag": "0 = as first published, 1 = corrected; empty where the source says nothing",
}
_RAW_KEY = ("ts_code", "end_date", "ann_date", "update_flag", "duplicate", "fetched_at")


def _raw_columns() -> tuple[Column, ...]:
    return tuple(
        Column(
            field.name,
            "text",
            field.zh,
            f"{FINANCE_WORDS.get(field.name) or _TEXTS[field.name]}, verbatim",
            nullable=field.name not in _RAW_KEY,
        )
        for field in FINANCE_FIELDS
    )


RAW_TUSHARE_FINA_INDICATOR: Final = Table(
    "raw_tushare_fina_indicator",
    "Tushare 财务指标原始应答：逐字保存，内容变化即为新版本",
    "Tushare's fina_indicator as answered: verbatim text, a changed answer is a new version",
    (
        *_raw_columns(),
        Column(
            "duplicate",
            "integer",
            "同一应答中同一报告期、公告日、标识的第几行，自 0 起",
            "of the rows of one answer with one period, announcement and flag, which one, from 0",
        ),
        Column("fetched_at", "timestamp", *_FIRST_SEEN),
        _RUN_ID,
    ),
    _RAW_KEY,
    indexes=(("end_date", "ts_code"),),
)

FINANCE_INDICATOR: Final = Table(
    "finance_indicator",
    "财务指标：每份报告的每个已公布版本各一行",
    "Finance indicators: one row for every published version of every report",
    (
        Column("ts_code", "text", "证券代码，如 600000.SH", "security code such as 600000.SH"),
        Column("end_date", "date", "报告期，季末日", "period, the last day of a quarter"),
        Column(
            "ann_date",
            "date",
            "公告日；数据源未给出时见 ann_date_basis",
            "day of the announcement; where the source names none, see ann_date_basis",
        ),
        Column("version", "integer", "同一公告的第几个版本", "which version of this announcement", minimum=1),
        Column(
            "known_from",
            "date",
            "自该交易日起读者可以知道这些值",
            "first trading day on which a reader could know these values",
        ),
        Column(
            "f_ann_date", "date", "实际公告日，已知时", "day of the actual announcement, where known", nullable=True
        ),
        Column(
            "ann_date_basis",
            "text",
            "公告日来自：stated 数据源，disclosure 披露计划的实际披露日，first_seen 首次收到",
            "where ann_date is from: the source's own, the disclosure calendar, or the day it was first received",
            choices=("stated", "disclosure", "first_seen"),
        ),
        Column(
            "update_flag",
            "text",
            "数据源标识：0 首次，1 更正",
            "the source's flag: 0 = as first published, 1 = corrected",
            nullable=True,
        ),
        Column(
            "is_chosen",
            "boolean",
            "应答中同一公告有多行时，是否为被采用的一行；按时点读取只用被采用的",
            "of the rows an answer had for one announcement, the one that stands; only these are read as of a day",
        ),
        *(
            Column(field.name, "float", field.zh, FINANCE_WORDS[field.name], field.unit, nullable=True)
            for field in FINANCE_FIELDS
            if field.unit
        ),
        Column("source", "text", "数据来源", "who said it"),
        Column("fetched_at", "timestamp", *_FIRST_SEEN),
        _RUN_ID,
    ),
    ("ts_code", "end_date", "ann_date", "version"),
    indexes=(("end_date", "ts_code"), ("ann_date", "ts_code"), ("known_from", "ts_code")),
)

FINANCE_PROGRESS: Final = Table(
    "finance_progress",
    "财务指标的取数进度：每个数据源每只股票一行，与其数据在同一事务写入",
    "How far reports are in the store: one row for each stock of a source, written in the transaction of its reports",
    (
        Column("ts_code", "text", "证券代码，如 600000.SH", "security code such as 600000.SH"),
        Column("source", "text", "数据来源", "who was asked"),
        Column(
            "first_period",
            "date",
            "报告期末日不早于此日的报告均已取得",
            "reports for periods that end on or after this day are in the store",
        ),
        Column(
            "known_through",
            "date",
            "截至此自然日的公告均已取得",
            "announcements up to this calendar day are in the store",
        ),
        Column("fetched_at", "timestamp", "最近一次就该股票取数的时间", "when this stock was last asked for"),
        _RUN_ID,
    ),
    ("ts_code", "source"),
)
