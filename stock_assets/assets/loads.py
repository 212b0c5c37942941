"""How a run loads its days: as a task of its own, which is what the jobs do, or day by day beside others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from dagster import Config, DagsterRun
from pydantic import Field

from stock_assets.domain.codes import parse_code
from stock_assets.domain.errors import StockAssetsError
from stock_assets.domain.tables import ADJUST_FACTOR
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.daily_sync import JOB_TYPES, LOOK_BACK, DailyJob, days_without_factors, sync_daily
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.report import IngestReport
from stock_assets.settings import Settings

BARS_OP = "daily_bars"
JOB_TYPE_TAG = "stock_assets/job_type"
"""The tag by which a job's runs are a task; a run without it loads the chosen days alone, beside others."""


class LoadConfig(Config):
    """How a run loads its days."""

    codes: list[str] = Field(default=[], description="只装载这些证券；空 = 全市场 | only these securities; empty = all")
    refetch: bool | None = Field(
        default=None,
        description="重新请求已完整的交易日；默认：单日运行重新请求，区间运行只补缺口"
        " | ask again for complete days; default: yes for one day, no for a range",
    )
    only_failures: bool = Field(
        default=False, description="只重试有失败记录的部分 | retry what has a failure record and nothing else"
    )
    only_due: bool = Field(
        default=False,
        description="不再请求数据源刚答复过没有的行，到期再问 | leave out rows that sources said they lack, until they are due again",
    )


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did, and what makes it a failed one."""

    report: IngestReport
    failure: StockAssetsError | None


def job_type_of(run: DagsterRun) -> DailyJob | None:
    """Return the task that a run is, or None for one that was started for chosen days by hand."""
    return next((job_type for job_type in JOB_TYPES if run.tags.get(JOB_TYPE_TAG) == job_type), None)


def load_bars(
    context: PipelineContext, config: LoadConfig, days: Sequence[date], job_type: DailyJob | None, settings: Settings
) -> Loaded:
    """Load bars of `days`, as a task of `job_type` where there is one."""
    codes = [parse_code(code) for code in config.codes] or None
    if job_type is None:
        report = ingest_days(context, days, ts_codes=codes, refetch=_refetch(config, days), only_due=config.only_due)
        return Loaded(report, report.failure())
    done = sync_daily(
        context,
        days,
        job_type,
        ts_codes=codes,
        refetch=_refetch(config, days),
        only_records=config.only_failures,
        batch_size=settings.sync_daily_history_batch_size,
        max_retries=settings.sync_failure_max_retries,
    )
    return Loaded(done.report, done.failure())


def load_factors(
    context: PipelineContext, config: LoadConfig, days: Sequence[date], job_type: DailyJob | None
) -> Loaded:
    """Load factors of `days`; an increment brings those of the days it looked back at as well, which fail no run."""
    if config.only_failures:
        chosen = days_without_factors(context, min(days), max(days))
        report = ingest_factors(context, chosen) if chosen else IngestReport(ADJUST_FACTOR.name, 0)
        return Loaded(report, report.failure())
    is_increment = job_type == "DAILY_INCREMENTAL"
    late = days_without_factors(context, max(days) - LOOK_BACK, max(days)) if is_increment else []
    earlier = [day for day in late if day not in days]
    before = ingest_factors(context, earlier) if earlier else None
    report = ingest_factors(context, days, refetch=_refetch(config, days))
    failure = report.failure()
    if before is not None:
        report.add(before)
    return Loaded(report, failure)


def restricted_codes(run: DagsterRun) -> list[str]:
    """Return the stocks that a run was restricted to; empty for the whole market."""
    return list(_config_of(run).get("codes", []))


def is_restricted(run: DagsterRun) -> bool:
    """Return whether a run cannot make its days whole: it was for some stocks, or for what had failed."""
    return bool(restricted_codes(run)) or bool(_config_of(run).get("only_failures"))


def _config_of(run: DagsterRun) -> Mapping[str, Any]:
    ops = cast("Mapping[str, Mapping[str, Mapping[str, Any]]]", run.run_config.get("ops", {}))
    return ops.get(BARS_OP, {}).get("config", {})


def _refetch(config: LoadConfig, days: Sequence[date]) -> bool:
    if config.only_failures:
        return False
    return len(days) == 1 if config.refetch is None else config.refetch
