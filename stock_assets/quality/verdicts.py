"""Findings put together by what they are about: one verdict for each family of rules of a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from stock_assets.quality.catalog import RULES, Rule, Subject, rule_of
from stock_assets.quality.findings import STORED_FINDING_SCHEMA, WHOLE_DAY

# A source that sends one wrong row sends it again whenever it is asked: that must not keep a market from its indicators.
# Wrong units, prices of another kind or another day's answer are in (nearly) every row.
POISONED_SHARE: Final = 0.005
"""A day whose rows are errors to more than this share poisons what is made of it."""

# A command that takes several stocks, and how many of them can still be read.
_CODES: Final = "--codes {code}"
_NAMED: Final = 20

_SUBJECTS: Final[Mapping[Subject, tuple[str, str, str]]] = {
    "answer": ("answer", "数据源应答", "what the source said"),
    "keys": ("keys", "代码与主键", "codes and keys"),
    "prices": ("prices", "价格关系", "relations of prices"),
    "limits": ("limits", "涨跌停价", "price limits"),
    "continuity": ("continuity", "前后连续", "continuity from session to session"),
    "volume": ("volume", "量额一致", "volume and amount"),
    "turnover": ("turnover", "换手率", "turnover"),
    "calendar": ("calendar", "交易日与上市期间", "trading days and listings"),
    "factors": ("steps", "复权因子", "steps of the factor"),
    "indicators": ("values", "技术指标", "values of indicators"),
    "finance": ("figures", "财务数据", "figures of reports"),
    "completeness": ("completeness", "完整", "completeness"),
}
# What can only be broken by an answer is never in the store, and what is missing has checks of its own.
_ELSEWHERE: Final = frozenset({"answer", "completeness"})


@dataclass(frozen=True, slots=True)
class Family:
    """The rules of one dataset about one subject; `name` is that of the asset check."""

    dataset: str
    subject: Subject

    @property
    def name(self) -> str:
        """The name of its check."""
        return f"{self.dataset}_{_SUBJECTS[self.subject][0]}"

    @property
    def zh(self) -> str:
        """What it is about, in Chinese."""
        return _SUBJECTS[self.subject][1]

    @property
    def en(self) -> str:
        """What it is about, in English."""
        return _SUBJECTS[self.subject][2]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Its rules, in the order of the list."""
        return tuple(rule for rule in RULES if (rule.dataset, rule.subject) == (self.dataset, self.subject))

    @property
    def can_poison(self) -> bool:
        """Whether a rule of it is broken only by what cannot be right."""
        return any(rule.severity == "error" for rule in self.rules)


FAMILIES: Final[tuple[Family, ...]] = tuple(
    dict.fromkeys(Family(rule.dataset, rule.subject) for rule in RULES if rule.subject not in _ELSEWHERE)
)
"""Every family that is judged on what is stored, in the order of the list of rules."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one family: `findings` is STORED_FINDING_SCHEMA, the worst first."""

    family: Family
    findings: pl.DataFrame
    is_poisoned: bool

    @property
    def errors(self) -> int:
        """How many findings cannot be right."""
        return self._count("error")

    @property
    def warnings(self) -> int:
        """How many findings deserve a look."""
        return self._count("warning")

    @property
    def notes(self) -> int:
        """How many findings are rare and right."""
        return self._count("info")

    @property
    def is_passed(self) -> bool:
        """Whether there is nothing to look at."""
        return not self.errors and not self.warnings

    @property
    def by_rule(self) -> pl.DataFrame:
        """severity, rule and count, in the order of the findings."""
        return self.findings.group_by("severity", "rule", maintain_order=True).len(name="count")

    def repairs(self, most: int) -> list[str]:
        """Return the commands for the worst findings, each once, at most so many; notes need none.

        One that takes several stocks names all of a day, or none of them where they are too many.
        """
        serious = self.findings.filter(pl.col("severity") != "info")
        grouped: dict[tuple[Rule, date], dict[str, None]] = {}
        for row in serious.iter_rows(named=True):
            key = (rule_of(row["dataset"], row["rule"]), row["trade_date"])
            grouped.setdefault(key, {})[row["ts_code"]] = None
        commands: dict[str, None] = {}
        for (rule, day), codes in grouped.items():
            together = [",".join(codes) if len(codes) <= _NAMED else WHOLE_DAY]
            chosen = together if _CODES in rule.repair and WHOLE_DAY not in codes else list(codes)
            commands.update(dict.fromkeys(rule.repair_of(day, code) for code in chosen[:most]))
            if len(commands) >= most:
                break
        return list(commands)[:most]

    def _count(self, severity: str) -> int:
        return int((self.findings["severity"] == severity).sum())


def verdicts(findings: pl.DataFrame, rows: Mapping[date, int] | None) -> list[Verdict]:
    """Return one verdict for each family, in their order.

    `findings` as the validator returns them; `rows` is how many bars each day has, None where only some stocks were judged,
    which poisons nothing.
    """
    subjects = pl.DataFrame(
        [(rule.dataset, rule.name, rule.subject) for rule in RULES],
        schema={"dataset": pl.String, "rule": pl.String, "subject": pl.String},
        orient="row",
    )
    known = findings.join(subjects, on=["dataset", "rule"], how="left", maintain_order="left")
    parts = {
        (str(dataset), str(subject)): part.select(STORED_FINDING_SCHEMA.names())
        for (dataset, subject), part in known.partition_by("dataset", "subject", as_dict=True).items()
    }
    none = pl.DataFrame(schema=STORED_FINDING_SCHEMA)
    found = ((family, parts.get((family.dataset, family.subject), none)) for family in FAMILIES)
    return [Verdict(family, part, rows is not None and _is_poisoned(part, rows)) for family, part in found]


def _is_poisoned(findings: pl.DataFrame, rows: Mapping[date, int]) -> bool:
    errors = findings.filter(pl.col("severity") == "error")
    if (errors["ts_code"] == WHOLE_DAY).any():
        return True
    stocks = errors.group_by("trade_date").agg(pl.col("ts_code").n_unique())
    return any(count > POISONED_SHARE * rows.get(day, 0) for day, count in stocks.iter_rows())
