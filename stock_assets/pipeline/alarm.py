"""What the end of a synchronization means for a person: nothing, a look, or work."""

from datetime import time

from stock_assets.domain.alerts import Alert, Notify
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import Language, NotReady, StockAssetsError
from stock_assets.pipeline.history import SyncOutcome

EVENING_ENDS = time(23, 30)
"""Shanghai time until which the schedule asks again for a day that is not ready."""


def tell_outcome(notify: Notify, outcome: SyncOutcome) -> None:
    """Tell how an attempt ended, unless somebody stopped it, who knows, or this evening asks again by itself."""
    if outcome.task.status != "PAUSED" and not _is_asked_again(outcome):
        notify(outcome.task.job_type, alerts_of(outcome))


def tell_crash(notify: Notify, job_type: str, error: Exception) -> None:
    """Tell of a run that ended in a mistake of ours; its text may hold what is nobody else's business."""
    what = type(error).__name__
    notify(job_type, [_failed(job_type, (), what, what)])


def alerts_of(outcome: SyncOutcome) -> list[Alert]:
    """Return what a person should know of an attempt's end."""
    job_type, alerts = outcome.task.job_type, list[Alert]()
    if outcome.task.status == "FAILED":
        items = (*outcome.failed, *outcome.postponed)
        alerts.append(_failed(job_type, items, _reason(outcome, "zh"), _reason(outcome, "en")))
    if count := len(outcome.need_a_person):
        alerts.append(
            Alert(
                cause="needs_a_person",
                job_type=job_type,
                items=outcome.need_a_person,
                zh=f"任务 {job_type} 有 {count} 项多次重试仍失败，不再自动重试，等人处理",
                en=f"of the task {job_type}, {count} failed again and again and wait for a person; nothing retries them by "
                "itself",
                command=command_for(job_type),
            )
        )
    return alerts


def command_for(job_type: str) -> str:
    """Return the command that shows the failure records of a job type and says what to do."""
    return f"stock-assets failures --job {job_type.lower()}"


def _is_asked_again(outcome: SyncOutcome) -> bool:
    """Return whether nothing is wrong but that today's session is not published as a whole yet."""
    at = outcome.task.updated_at.astimezone(SHANGHAI)
    is_early = isinstance(outcome.stopped_by, NotReady | None) and set(outcome.postponed) <= {at.date().isoformat()}
    is_well = outcome.task.job_type == "DAILY_INCREMENTAL" and not outcome.failed and not outcome.need_a_person
    return is_well and is_early and outcome.task.status == "FAILED" and at.time() < EVENING_ENDS


def _failed(job_type: str, items: tuple[str, ...], zh: str, en: str) -> Alert:
    return Alert(
        cause="failed",
        job_type=job_type,
        items=items,
        zh=f"任务 {job_type} 未完成：{zh}",
        en=f"the task {job_type} did not end complete: {en}",
        command=command_for(job_type),
    )


def _reason(outcome: SyncOutcome, language: Language) -> str:
    error: StockAssetsError | None = outcome.stopped_by
    if error is not None:
        return error.sentence(language)
    words = {"zh": ("{} 项失败", "{} 项尚未发布或无法取得"), "en": ("{} failed", "{} could not be had yet")}[language]
    counts = (len(outcome.failed), len(outcome.postponed))
    return ("，" if language == "zh" else ", ").join(
        word.format(count) for word, count in zip(words, counts, strict=True) if count
    )
