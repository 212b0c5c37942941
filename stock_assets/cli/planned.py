"""The part of `status` that says what schedules planned and what became of it."""

from stock_assets.cli.session import Session
from stock_assets.pipeline.planned_runs import WELL, PlannedRun, frame_of, planned_runs, said


def tell_planned_runs(session: Session, *, all_runs: bool) -> None:
    """Say how many planned runs became what; show those that did not end in time, or all, with what Dagster knows."""
    installation = session.installation
    if all_runs:
        found = _with_runs(session)
    else:
        with installation.database.read() as conn:
            found = planned_runs(conn, installation.calendar, installation.now())
    if not found:
        session.tell(f"调度：{said(found, 'zh')}", f"schedules: {said(found, 'en')}")
        return
    session.tell(f"近 30 天的调度：{said(found, 'zh')}", f"scheduled runs of the last 30 days: {said(found, 'en')}")
    shown = found if all_runs else [run for run in found if run.outcome not in WELL]
    if not shown:
        return
    frame = frame_of(shown, session.language)
    session.show(frame, "table", title=session.say("计划与实际（北京时间）", "planned against done (Shanghai time)"))
    if not all_runs:
        session.tell("每次运行及原因：stock-assets status --runs", "every run and why: stock-assets status --runs")


def _with_runs(session: Session) -> list[PlannedRun]:
    from stock_assets.automation.planned_runs import look  # noqa: PLC0415  it brings Dagster
    from stock_assets.cli.run_here import open_instance  # noqa: PLC0415  likewise

    with open_instance() as instance:
        return look(session.installation, instance)
