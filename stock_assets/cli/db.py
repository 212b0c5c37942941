"""Migrations of the store."""

import click

from stock_assets.cli.session import Session, pass_session
from stock_assets.storage import migrate


@click.group()
def db() -> None:
    """数据库迁移 | migrations of the store."""


@db.command()
@click.argument("revision", default="head")
@pass_session
def upgrade(session: Session, revision: str) -> None:
    """升级到指定版本，默认最新 | migrate up, to the newest revision by default."""
    migrate.upgrade(session.installation.open_database(), revision)
    _tell(session)


@db.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="不再询问 | do not ask")
@pass_session
def downgrade(session: Session, revision: str, *, yes: bool) -> None:
    """回退到指定版本，会删除其后新建的表与数据 | migrate down; drops what later revisions made."""
    question = session.say("回退会删除数据，继续吗？", "migrating down drops data; go on?")
    if not yes:
        click.confirm(question, abort=True)
    migrate.downgrade(session.installation.open_database(), revision)
    _tell(session)


@db.command()
@pass_session
def current(session: Session) -> None:
    """显示当前版本 | show the revision of the store."""
    _tell(session)


def _tell(session: Session) -> None:
    database = session.installation.open_database()
    revision = migrate.current(database) or "-"
    newest = migrate.head()
    state = (
        session.say("最新", "newest") if revision == newest else session.say(f"最新为 {newest}", f"newest is {newest}")
    )
    session.tell(f"数据库版本 {revision}（{state}）", f"store revision {revision} ({state})")
