"""Migrations, backups and the way back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.markup import escape

from stock_assets.cli.session import Session, pass_session
from stock_assets.storage import migrate
from stock_assets.storage.backup import default_path, make_backup, read_backup
from stock_assets.storage.database import Database
from stock_assets.storage.postgres_programs import server_version
from stock_assets.storage.restore import refuse_when_used, restore
from stock_assets.storage.timescale import SETTLED_DAYS, compress

_YES = click.option("--yes", is_flag=True, help="不再询问 | do not ask")
_NO_BACKUP = click.option("--no-backup", is_flag=True, help="不先备份 | without a backup first")


@click.group()
def db() -> None:
    """数据库迁移与备份 | migrations and backups of the store."""


@db.command()
@click.argument("revision", default="head")
@pass_session
def upgrade(session: Session, revision: str) -> None:
    """升级到指定版本，默认最新 | migrate up, to the newest revision by default."""
    migrate.upgrade(session.installation.open_database(), revision)
    _tell(session)


@db.command()
@click.argument("revision")
@_YES
@_NO_BACKUP
@pass_session
def downgrade(session: Session, revision: str, *, yes: bool, no_backup: bool) -> None:
    """回退到指定版本，会删除其后新建的表与数据 | migrate down; drops what later revisions made.

    先备份到数据目录的 backups。 | A backup is made first, in `backups` of the data folder.
    """
    question = session.say("回退会删除数据，继续吗？", "migrating down drops data; go on?")
    if not yes:
        click.confirm(question, abort=True)
    database = session.installation.open_database()
    _back_up_unless(session, database, is_unwanted=no_backup)
    migrate.downgrade(database, revision)
    _tell(session)


@db.command()
@pass_session
def current(session: Session) -> None:
    """显示当前版本 | show the revision of the store."""
    _tell(session)


@db.command()
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="备份文件，默认在数据目录的 backups 中 | the file; by default in `backups` of the data folder",
)
@pass_session
def backup(session: Session, out: Path | None) -> None:
    """备份存储，可与装载同时进行 | back the store up, beside running work.

    Dagster 的运行记录不在其中。 | Dagster's records of runs are not in it.
    """
    _back_up(session, session.installation.open_database(), out)


@db.command("compress")
@click.option(
    "--older-than",
    "days",
    metavar="DAYS",
    type=click.IntRange(min=0),
    default=SETTLED_DAYS,
    show_default=True,
    help="最后一天早于多少天前的分块 | chunks whose last day is older than so many days",
)
@pass_session
def compress_command(session: Session, days: int) -> None:
    """压缩旧行情，需要 TimescaleDB | compress old bars; needs TimescaleDB.

    服务器每天也会自行压缩。 | The server does so by itself every day, too.
    """
    settled = session.installation.now().date() - timedelta(days=days)
    for done in compress(session.installation.database, settled=settled):
        saved = 0 if not done.bytes_before else 100 - 100 * done.bytes_after / done.bytes_before
        before, after = done.bytes_before / 2**20, done.bytes_after / 2**20
        session.tell(
            f"{done.table}：压缩 {done.chunks} 个分块；由 {before:,.1f} MiB 变为 {after:,.1f} MiB，节省 {saved:.0f}%",
            f"{done.table}: {done.chunks} chunks compressed; from {before:,.1f} to {after:,.1f} MiB, {saved:.0f}% saved",
        )


@db.command("restore")
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@_YES
@_NO_BACKUP
@pass_session
def restore_command(session: Session, file: Path, *, yes: bool, no_backup: bool) -> None:
    """用备份替换存储 | put a backup in the place of the store.

    先备份现有存储；中途失败则一切照旧。 | What is there is backed up first; a failure leaves everything as it was.
    """
    database = session.installation.open_database()
    chosen = read_backup(file, server_version(database))
    refuse_when_used(database)
    question = session.say(
        f"存储（版本 {migrate.current(database) or '空'}）将被备份（版本 {chosen.revision}）替换，继续吗？",
        f"the store (revision {migrate.current(database) or 'empty'}) will be replaced by the backup (revision {chosen.revision}); go on?",
    )
    if not yes:
        click.confirm(question, abort=True)
    _back_up_unless(session, database, is_unwanted=no_backup)
    session.note("恢复中", "restoring")
    restore(chosen, database)
    _tell(session)


def _back_up_unless(session: Session, database: Database, *, is_unwanted: bool) -> None:
    if not is_unwanted and migrate.current(database) is not None:
        _back_up(session, database, None)


def _back_up(session: Session, database: Database, out: Path | None) -> None:
    installation = session.installation
    path = out or default_path(database, installation.settings.home, datetime.now(UTC))
    session.note("备份中", "backing up")
    made = make_backup(database, path.absolute())
    shown = escape(str(made.path))
    size = f"{made.size_bytes / 2**20:,.1f} MiB"
    session.tell(
        f"已备份到 {shown}（版本 {made.revision}，{size}）",
        f"backed up to {shown} (revision {made.revision}, {size})",
    )


def _tell(session: Session) -> None:
    database = session.installation.open_database()
    revision = migrate.current(database) or "-"
    newest = migrate.head()
    state = (
        session.say("最新", "newest") if revision == newest else session.say(f"最新为 {newest}", f"newest is {newest}")
    )
    session.tell(f"数据库版本 {revision}（{state}）", f"store revision {revision} ({state})")
