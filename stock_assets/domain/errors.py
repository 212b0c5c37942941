"""The one tree of errors.

    StockAssetsError
    ├── InvalidInput            a person typed something wrong
    ├── ConfigurationError      this installation is set up wrong
    ├── StoreUnavailable        the database cannot be reached (transient)
    ├── Stopped                 somebody told the work to end
    ├── AlreadyRunning          another process works on the same task
    ├── TaskLost                another process has taken the task over
    ├── StillMissing            an item was worked on and is still to do
    ├── StoreInUse              others work with the database that is to be replaced
    ├── BackupFailed            a backup was not made, or one was not restored
    ├── SnapshotDamaged         a snapshot's file is not what was written
    ├── DataRefused             rows break a rule that no caller may bend
    └── SourceError
        ├── SourceUnavailable   nothing or no usable answer came back (transient)
        ├── AnswerBroken        an answer came, and it is not the one that was asked for (transient)
        ├── SessionExpired      the source forgot who we are (transient)
        ├── NotReady            the source has not published it yet
        ├── SlotsTaken          every allowed connection is in use
        ├── QuotaExhausted      today's requests are used up
        ├── RateLimited         the source allows no more calls of this interface for now
        ├── Banned              the source has blocked this address or account
        ├── AccessDenied        account, key or permission refused
        │   ├── TokenRefused        the token is missing or wrong
        │   ├── PointsMissing       the account may not use this interface
        │   └── TooManyAddresses    the account is used from too many addresses
        └── RequestRefused      the source calls the request itself wrong

Retry on the mark, never on a name: `Transient` means the same call may succeed, `Permanent` that a person must act
or that time must pass. A sentence is constant in two languages; the facts are fields and survive pickling.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

Language = Literal["zh", "en"]


class Transient:
    """Mark: the same call may succeed when it is made again."""


class Permanent:
    """Mark: making the same call again cannot help."""


class StockAssetsError(Exception):
    """Root of every error this project raises on purpose; `facts` fill the sentence of its class."""

    zh: ClassVar[str] = "{problem}"
    en: ClassVar[str] = "{problem}"

    def __init__(self, **facts: object) -> None:
        super().__init__()
        self.facts: Mapping[str, object] = facts

    def sentence(self, language: Language) -> str:
        """Return one sentence a person can act on, in the asked language."""
        template = self.zh if language == "zh" else self.en
        return template.format_map(_Facts(self.facts))

    def __str__(self) -> str:
        """Return the English sentence."""
        return self.sentence("en")

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the facts when the error crosses a process."""
        return (_revive, (type(self), dict(self.facts)))

    @classmethod
    def revive(cls, facts: dict[str, object]) -> Self:
        """Return the error with these facts; the inverse of pickling."""
        return cls(**facts)


class _Facts(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return f"<{key}>"


def _revive(kind: type[StockAssetsError], facts: dict[str, object]) -> StockAssetsError:
    return kind.revive(facts)


class InvalidInput(StockAssetsError, Permanent):
    """A value that a person gave cannot be used; `zh` and `en` facts say why and what to give instead."""

    zh = "{problem_zh}"
    en = "{problem}"

    def sentence(self, language: Language) -> str:
        """Return the sentence; the Chinese one falls back to English where none was given."""
        if language == "zh" and "problem_zh" not in self.facts:
            return super().sentence("en")
        return super().sentence(language)


class ConfigurationError(InvalidInput):
    """This installation is set up in a way that cannot work."""


class StoreUnavailable(StockAssetsError, Transient):
    """PostgreSQL cannot be reached or went away."""

    zh = "数据库不可用：{reason}。请运行 stock-assets doctor 查看原因"
    en = "the database cannot be reached: {reason}; run `stock-assets doctor` to see why"


class Stopped(StockAssetsError, Permanent):
    """The work was told to stop, by Ctrl-C or by whoever runs it; what is committed is whole."""

    zh = "已停止。已提交的数据完整，再次运行同一命令即可继续"
    en = "stopped; what is committed is whole, and the same command goes on from there"


class AlreadyRunning(StockAssetsError, Permanent):
    """Another living process works on this job type; nothing was done."""

    zh = "同类任务 {job_type} 正在另一进程中运行，本次未作改动。请等它结束，或先停止它"
    en = (
        "a task of type {job_type} is running in another process, nothing was done; wait until it has ended, or stop it"
    )


class TaskLost(StockAssetsError, Permanent):
    """Our hold on the task ended with its connection and another process took it over; the batch was not committed."""

    zh = "任务 {job_type} 已由另一进程接手，本批未提交"
    en = "the task {job_type} was taken over by another process; this batch was not committed"


class StillMissing(StockAssetsError, Permanent):
    """An item was asked for, without an error, and the store still lacks it."""

    zh = "{item} 已请求过，但仍缺数据"
    en = "{item} was asked for and is still missing"


class StoreInUse(StockAssetsError, Permanent):
    """Other sessions use the store, which has to be alone with us for this step; nothing was changed."""

    zh = "存储正被使用（{who}），未作改动。请先停止 stock-assets up 与正在运行的任务，再试一次"
    en = "the store is in use ({who}) and was left as it is; stop `stock-assets up` and running loads, then try again"


class BackupFailed(StockAssetsError, Permanent):
    """A backup was not made, or one was not restored; the store is what it was."""

    zh = "{program} 失败，存储未作改动：{reason}"
    en = "{program} failed and the store was left as it is: {reason}"


class SnapshotDamaged(StockAssetsError, Permanent):
    """A snapshot's file is missing or not what was written; publishing the day again writes it again."""

    zh = "快照文件 {path} 缺失或已损坏。重新生成即可：stock-assets backfill-snapshots --start 该日"
    en = "the snapshot file {path} is missing or damaged; make its day's again: `stock-assets backfill-snapshots --start DAY`"


class DataRefused(StockAssetsError, Permanent):
    """A frame breaks the contract of its table, so that none of it was written."""

    zh = "数据不符合表 {table} 的约定，未写入：{reason}"
    en = "data breaks the contract of table {table} and was not written: {reason}"


class SourceError(StockAssetsError):
    """Something a source did or said."""


class SourceUnavailable(SourceError, Transient):
    """No complete answer came back: refused, closed, silent or too slow."""

    zh = "数据源 {source} 暂不可用（{reason}）。请稍后重试，或运行 stock-assets doctor"
    en = "source {source} is unavailable ({reason}); try again later or run `stock-assets doctor`"


class AnswerBroken(SourceError, Transient):
    """An answer came that does not fit what was asked."""

    zh = "数据源 {source} 对 {api} 的应答不可信：{reason}"
    en = "source {source} gave an answer to {api} that cannot be trusted: {reason}"


class SessionExpired(SourceError, Transient):
    """The source says that this connection is not logged in."""

    zh = "数据源 {source} 的会话已失效"
    en = "the session with source {source} is no longer logged in"


class NotReady(SourceError, Permanent):
    """The source has not published what was asked for."""

    zh = "{trade_date} 的数据尚未发布（{reason}），请在 {ready_at} 之后重试"
    en = "data of {trade_date} is not published yet ({reason}); try again after {ready_at}"


class SlotsTaken(SourceError, Permanent):
    """Every connection that settings allow to this source is in use; nothing was sent."""

    zh = "数据源 {source} 的 {limit} 个连接都在使用中，已等待 {waited_seconds} 秒。请等其他任务结束后重试"
    en = "all {limit} connections to source {source} are in use after {waited_seconds} s; try again when the other run has ended"


class QuotaExhausted(SourceError, Permanent):
    """Today's requests to this source are used up; the request was not sent."""

    zh = "数据源 {source} 今日（{day}）的 {limit} 次请求已用完，请明天（北京时间）再试；账号允许更多时可在设置中调高"
    en = "today's ({day}) {limit} requests to source {source} are used up; go on tomorrow (Shanghai time), or raise the setting if the account allows more"


class RateLimited(SourceError, Permanent):
    """One interface has used up a `period` (`minute`, `hour` or `day`); `until`, where known, is when it opens again."""

    zh = "数据源 {source} 暂不接受对接口 {api} 的更多请求（{reason}），请稍后再试"
    en = "source {source} allows no more calls of {api} for now ({reason}); try again later"


class Banned(SourceError, Permanent):
    """The source blocks this address or account; no request leaves before `until`."""

    zh = "数据源 {source} 已将本机列入黑名单，{until} 之前不会再发送任何请求"
    en = "source {source} has blacklisted this machine; no request is sent before {until}"


class AccessDenied(SourceError, Permanent):
    """Account, key or permission was refused."""

    zh = "数据源 {source} 拒绝访问：{reason}。请检查账号与密钥"
    en = "source {source} denied access: {reason}; check account and key"


class TokenRefused(AccessDenied):
    """The token is missing or wrong."""

    zh = "数据源 {source} 不接受所给的 token：{reason}。请检查 TUSHARE_TOKEN"
    en = "source {source} does not accept the token: {reason}; check TUSHARE_TOKEN"


class PointsMissing(AccessDenied):
    """The account has not the points or the permission that this interface asks for."""

    zh = "该账号无权使用数据源 {source} 的接口 {api}：{reason}。请在数据源网站查看所需积分"
    en = "this account may not use {api} of source {source}: {reason}; see the source's site for the points it asks for"


class TooManyAddresses(AccessDenied):
    """The account is in use from more addresses than the source allows."""

    zh = "数据源 {source} 拒绝访问：该账号使用的 IP 过多（{reason}）。请只在一台机器上取数，勿频繁更换网络出口"
    en = "source {source} denied access: the account is used from too many addresses ({reason}); fetch from one machine"


class RequestRefused(SourceError, Permanent):
    """The source calls the request wrong: an unknown code, field or date."""

    zh = "数据源 {source} 拒绝了请求 {api}：{reason}"
    en = "source {source} refused the request {api}: {reason}"
