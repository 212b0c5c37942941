"""What can be set: each setting is one field of `Settings`, with its environment name, default, meaning and what is allowed.

What a setting is *used* for does not belong here: `wiring` is the room that turns settings into sources, stores and clocks.
"""

import os
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from stock_assets.domain.alerts import AlertForm
from stock_assets.domain.errors import Language
from stock_assets.settings.language import locale_language
from stock_assets.settings.values import as_date, lowered, raised, stripped, usable_database_url, usable_folder

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["console", "json"]
SourceChoice = Literal["auto", "baostock", "tushare", "simulated"]
LanguageChoice = Literal["auto", "zh", "en"]
CacheExpiry = Literal["soft", "hard"]


def _knob(  # noqa: PLR0913 - the facts of one setting stand side by side
    env: str,
    default: object,
    zh: str,
    en: str,
    allowed: tuple[str, str],
    *,
    least: float | None = None,
    most: float | None = None,
) -> Any:  # noqa: ANN401 - pydantic's own `Field` answers Any as well
    return Field(
        default,
        validation_alias=env,
        title=env,
        description=f"{zh} | {en}",
        json_schema_extra={"zh": zh, "en": en, "allowed_zh": allowed[0], "allowed_en": allowed[1]},
        ge=least,
        le=most,
    )


def _whole(least: int, most: int) -> tuple[str, str]:
    return f"{least} 到 {most} 的整数", f"a whole number from {least} to {most}"


def _choice(kind: object) -> tuple[str, str]:
    names = [str(name) for name in get_args(kind)]
    return "、".join(names) + " 之一", "one of " + ", ".join(names)


class Settings(BaseSettings):
    """The settings of one process, checked and unchangeable. Secrets are masked wherever they are printed."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        case_sensitive=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        validate_default=True,
    )

    home: Annotated[Path, BeforeValidator(stripped), AfterValidator(usable_folder)] = _knob(
        "STOCK_ASSETS_HOME",
        Path("~/.stock_assets"),
        "数据目录：内置数据库、日志与 Dagster 状态都在其中",
        "data folder: the embedded database, logs and Dagster's state live in it",
        ("一个文件夹的路径", "the path of a folder"),
    )
    database_url: Annotated[SecretStr, AfterValidator(usable_database_url)] | None = _knob(
        "STOCK_ASSETS_DATABASE_URL",
        None,
        "外部 PostgreSQL 的地址；不设则使用内置数据库",
        "address of an external PostgreSQL; unset means the embedded one",
        ("postgresql:// 开头的地址", "an address that begins with postgresql://"),
    )
    indicators_folder: Annotated[Path, BeforeValidator(stripped)] | None = _knob(
        "STOCK_ASSETS_INDICATORS",
        None,
        "自定义指标所在文件夹，每个 .py 文件一组；不设则为数据目录下的 indicators",
        "folder of indicators of one's own, one .py file each; unset means indicators in the data folder",
        ("一个文件夹的路径", "the path of a folder"),
    )
    source: Annotated[SourceChoice, BeforeValidator(lowered)] = _knob(
        "STOCK_ASSETS_SOURCE",
        "auto",
        "数据源：baostock（免费）、tushare（需 token）；auto 先用 baostock，有 token 时由 tushare 补其不足（北交所、故障、迟到）；simulated 为本机模拟行情",
        "source: baostock (free), tushare (needs a token); auto asks baostock first and, with a token, tushare for what it lacks (Beijing, outages, late days); simulated is a made-up market on this machine",
        _choice(SourceChoice),
    )
    today: Annotated[date, BeforeValidator(as_date)] | None = _knob(
        "STOCK_ASSETS_TODAY",
        None,
        "固定的“今天”，用于测试与重放；不设则为北京时间的今天",
        "a fixed “today” for tests and replays; unset means today in Shanghai",
        ("YYYY-MM-DD 或 YYYYMMDD 形式的日期", "a date such as 2026-01-05 or 20260105"),
    )
    language_choice: Annotated[LanguageChoice, BeforeValidator(lowered)] = _knob(
        "STOCK_ASSETS_LANGUAGE",
        "auto",
        "界面与日志的语言；auto 按系统区域设置，中文环境用中文，其余用英文",
        "language of messages and logs; auto follows the system's locale, Chinese where it is Chinese, else English",
        _choice(LanguageChoice),
    )
    baostock_host: Annotated[str, BeforeValidator(stripped)] = _knob(
        "BAOSTOCK_HOST",
        "public-api.baostock.com",
        "BaoStock 服务器主机名",
        "host name of the BaoStock server",
        ("主机名或 IP 地址", "a host name or an IP address"),
    )
    baostock_port: int = _knob(
        "BAOSTOCK_PORT",
        10030,
        "BaoStock 服务器端口",
        "port of the BaoStock server",
        _whole(1, 65535),
        least=1,
        most=65535,
    )
    baostock_api_key: SecretStr | None = _knob(
        "BAOSTOCK_API_KEY",
        None,
        "BaoStock 的 API 密钥；匿名使用则不设",
        "BaoStock API key; unset means anonymous use",
        ("密钥文本", "the key's text"),
    )
    baostock_pool_size: int = _knob(
        "BAOSTOCK_POOL_SIZE",
        1,
        "同时打开的 BaoStock 连接数。BaoStock 禁止并发连接，违者列入黑名单，大于 1 须自担风险",
        "BaoStock connections open at once. BaoStock forbids concurrent connections and bans addresses: more than 1 is at your own risk",
        _whole(1, 50),
        least=1,
        most=50,
    )
    baostock_session_ttl_seconds: float = _knob(
        "BAOSTOCK_SESSION_TTL",
        3600,
        "一次 BaoStock 登录最多使用的秒数，之后重新登录",
        "seconds that one BaoStock log-in is used before a new one",
        ("1 到 86400 的秒数", "seconds from 1 to 86400"),
        least=1,
        most=86400,
    )
    baostock_timeout_seconds: float = _knob(
        "BAOSTOCK_TIMEOUT",
        30,
        "等待 BaoStock 应答或空闲连接的最长秒数；连接被其他进程占用时最多等 20 倍",
        "longest wait for a BaoStock answer or for a free connection, in seconds; twenty times as long while other processes use it",
        ("0.1 到 600 的秒数", "seconds from 0.1 to 600"),
        least=0.1,
        most=600,
    )
    baostock_daily_quota: int = _knob(
        "BAOSTOCK_DAILY_QUOTA",
        50000,
        "每日（北京时间）最多发送的 BaoStock 请求数；官方上限为 50000",
        "most BaoStock requests sent per day (Shanghai time); the published limit is 50000",
        _whole(1, 10_000_000),
        least=1,
        most=10_000_000,
    )
    tushare_token: SecretStr | None = _knob(
        "TUSHARE_TOKEN",
        None,
        "Tushare Pro 的 token；留空则不使用 Tushare",
        "token of Tushare Pro; empty: Tushare is not used",
        ("一段文本", "a text"),
    )
    tushare_url: Annotated[str, BeforeValidator(stripped)] | None = _knob(
        "TUSHARE_URL",
        None,
        "Tushare 的地址；未写协议时先试 https 再试 http，留空则用官方地址",
        "address of Tushare; without a scheme https is tried before http, empty: the official addresses",
        (
            "以 https:// 或 http:// 开头的地址，或不带协议的地址",
            "an address, with https:// or http:// in front or without",
        ),
    )
    tushare_points: int = _knob(
        "TUSHARE_POINTS",
        2000,
        "Tushare 账号的积分，决定每分钟与每日的请求上限：120 为 50 次/分钟，2000 为 200 次，5000 为 500 次",
        "points of the Tushare account; they decide the calls a minute and a day: 50 a minute from 120 points, 200 from 2000, 500 from 5000",
        _whole(0, 10_000_000),
        least=0,
        most=10_000_000,
    )
    tushare_min_interval_seconds: float = _knob(
        "TUSHARE_MIN_INTERVAL",
        0.35,
        "同一 Tushare 接口两次请求之间至少相隔的秒数，所有进程合计；积分允许的频率更低时以更低者为准",
        "least seconds between two calls of one Tushare interface, over all processes; where points allow less, that holds",
        ("0 到 3600 的秒数", "seconds from 0 to 3600"),
        least=0,
        most=3600,
    )
    tushare_is_adaptive: bool = _knob(
        "TUSHARE_ADAPTIVE",
        True,
        "Tushare 出错增多时自动放慢，之后逐步恢复",
        "slow down by itself while Tushare answers with errors, and recover step by step",
        ("true 或 false", "true or false"),
    )
    readiness_second_look_seconds: float = _knob(
        "READINESS_SECOND_LOOK",
        20,
        "新发布的交易日隔多少秒再请求一次，两次相同才入库；0 为不再请求。固定“今天”或模拟行情时，未明确设置即不再请求",
        "seconds after which a newly published day is asked a second time and landed when both answers are alike; 0: never. With a fixed “today” or the made-up market never unless set",
        ("0 到 600 的秒数", "seconds from 0 to 600"),
        least=0,
        most=600,
    )
    integrity_check_days: int = _knob(
        "INTEGRITY_CHECK_DAYS",
        30,
        "启动时及其后每十分钟核对最近多少个自然日，缺失的自动补齐；0 为关闭",
        "calendar days that are looked at when `up` starts and every ten minutes from then on, and repaired where anything is missing; 0: never",
        _whole(0, 366),
        least=0,
        most=366,
    )
    daily_sync_batch_size: int = _knob(
        "DAILY_SYNC_BATCH_SIZE",
        100,
        "按股票取数时每批的股票数",
        "stocks per batch when fetching stock by stock",
        _whole(1, 10_000),
        least=1,
        most=10_000,
    )
    daily_sync_concurrency: int = _knob(
        "DAILY_SYNC_CONCURRENCY",
        10,
        "按股票取数时同时处理的股票数；实际连接数不超过 BAOSTOCK_POOL_SIZE",
        "stocks worked on at once when fetching stock by stock; connections stay within BAOSTOCK_POOL_SIZE",
        _whole(1, 100),
        least=1,
        most=100,
    )
    sync_daily_history_batch_size: int = _knob(
        "SYNC_DAILY_HISTORY_BATCH_SIZE",
        50,
        "日线历史同步每批的交易日数或证券数",
        "trading days or stocks per batch when daily history is synchronized",
        _whole(1, 10_000),
        least=1,
        most=10_000,
    )
    sync_finance_history_batch_size: int = _knob(
        "SYNC_FINANCE_HISTORY_BATCH_SIZE",
        100,
        "财务历史同步每批的证券数",
        "stocks per batch when finance history is synchronized",
        _whole(1, 10_000),
        least=1,
        most=10_000,
    )
    sync_finance_history_start_date: Annotated[date, BeforeValidator(as_date)] = _knob(
        "SYNC_FINANCE_HISTORY_START_DATE",
        date(2020, 1, 1),
        "财务历史的起始日：报告期不早于该日",
        "first day of finance history: periods that end on it or later",
        ("形如 2020-01-01 或 20200101 的日期", "a date such as 2020-01-01 or 20200101"),
    )
    sync_incremental_missing_limit: int = _knob(
        "SYNC_INCREMENTAL_MISSING_LIMIT",
        300,
        "每次增量同步最多补齐多少只从未同步过的证券",
        "most never synchronized stocks that one increment takes along",
        _whole(0, 100_000),
        least=0,
        most=100_000,
    )
    sync_failure_max_retries: int = _knob(
        "SYNC_FAILURE_MAX_RETRIES",
        3,
        "失败项自动重试的次数，之后等人处理",
        "retries of what failed, after which it waits for a person",
        _whole(0, 1000),
        least=0,
        most=1000,
    )
    alert_url: SecretStr | None = _knob(
        "STOCK_ASSETS_ALERT_URL",
        None,
        "需要人处理时以 JSON POST 通知的地址；留空则不通知",
        "address that is told by a JSON POST when a person is needed; empty: nobody is told",
        ("以 https:// 或 http:// 开头的地址", "an address that begins with https:// or http://"),
    )
    alert_form: Annotated[AlertForm, BeforeValidator(lowered)] = _knob(
        "STOCK_ASSETS_ALERT_FORM",
        "auto",
        "通知的消息格式：飞书 feishu、企业微信 wecom、钉钉 dingtalk、Slack、或 generic（JSON）；auto 按地址的域名判断",
        "form of what is told: for 飞书 feishu, 企业微信 wecom, 钉钉 dingtalk, slack, or generic JSON; auto goes by the address's host",
        _choice(AlertForm),
    )
    alert_secret: SecretStr | None = _knob(
        "STOCK_ASSETS_ALERT_SECRET",
        None,
        "飞书、钉钉机器人的签名密钥；留空则不签名",
        "secret that messages to robots of 飞书 and 钉钉 are signed with; empty: not signed",
        ("机器人安全设置中给出的密钥", "the secret that the robot's security settings show"),
    )
    db_pool_size: int = _knob(
        "DB_POOL_SIZE",
        10,
        "数据库连接池的常驻连接数",
        "database connections kept open",
        _whole(1, 200),
        least=1,
        most=200,
    )
    db_max_overflow: int = _knob(
        "DB_MAX_OVERFLOW",
        20,
        "数据库连接池可临时超出的连接数",
        "database connections beyond the pool for a peak",
        _whole(0, 200),
        least=0,
        most=200,
    )
    cache_ttl_daily_seconds: float = _knob(
        "CACHE_TTL_DAILY",
        3600,
        "缓存的行情在多少秒内算新鲜",
        "seconds for which cached bars are fresh",
        ("1 到 604800 的秒数", "seconds from 1 to 604800"),
        least=1,
        most=604800,
    )
    cache_ttl_snapshot_seconds: float = _knob(
        "CACHE_TTL_SNAPSHOT",
        3600,
        "缓存的每日快照在多少秒内算新鲜",
        "seconds for which a cached snapshot of a day is fresh",
        ("1 到 604800 的秒数", "seconds from 1 to 604800"),
        least=1,
        most=604800,
    )
    cache_expiry: Annotated[CacheExpiry, BeforeValidator(lowered)] = _knob(
        "CACHE_EXPIRY",
        "soft",
        "过期之后：soft 先给旧值并在后台更新，旧值至多再用同样长的时间；hard 等待新值",
        "after that: soft serves the old value while it is renewed, for as long again at most; hard waits for the new one",
        _choice(CacheExpiry),
    )
    cache_check_seconds: float = _knob(
        "CACHE_CHECK_SECONDS",
        5,
        "每隔多少秒核对存储是否有变，受影响的缓存随即作废",
        "seconds between looks at whether the store has changed; what a change touches is forgotten at once",
        ("0 到 3600 的秒数", "seconds from 0 to 3600"),
        least=0,
        most=3600,
    )
    cache_megabytes: int = _knob(
        "CACHE_MEGABYTES",
        512,
        "缓存最多占用的内存，MB；超出时先丢弃最久未用的",
        "most memory that cached values take, in MB; what was not used for longest goes first",
        _whole(1, 1_000_000),
        least=1,
        most=1_000_000,
    )
    cache_warm_stocks: int = _knob(
        "CACHE_WARM_STOCKS",
        100,
        "打开带缓存的存储时，在后台先装载最常查询的多少只股票",
        "stocks, the most asked ones, that are loaded in the background when a store is opened with a cache",
        _whole(0, 1000),
        least=0,
        most=1000,
    )
    cache_redis_url: SecretStr | None = _knob(
        "CACHE_REDIS_URL",
        None,
        "多个进程共用的 Redis 的地址，需安装 redis 附加依赖；留空则每个进程只用自己的缓存",
        "address of a Redis that several processes share, needs the extra “redis”; empty: each process has its own cache only",
        ("以 redis://、rediss:// 或 unix:// 开头的地址", "an address that begins with redis://, rediss:// or unix://"),
    )
    snapshot_keep_days: int | None = _knob(
        "SNAPSHOT_KEEP_DAYS",
        None,
        "每日快照保留的自然日数，更早的在发布后删除；不设则全部保留",
        "calendar days that daily snapshots are kept, older ones are deleted after a publication; unset keeps all",
        _whole(1, 100_000),
        least=1,
        most=100_000,
    )
    snapshot_keep_versions: int | None = _knob(
        "SNAPSHOT_KEEP_VERSIONS",
        None,
        "同一交易日保留的快照版本数，含当前版本；不设则全部保留",
        "versions of one day's snapshot that are kept, the current one included; unset keeps all",
        _whole(1, 1000),
        least=1,
        most=1000,
    )
    log_level: Annotated[LogLevel, BeforeValidator(raised)] = _knob(
        "LOG_LEVEL",
        "INFO",
        "日志级别：DEBUG 每只股票一行，INFO 每批与合计，WARNING 仅慢操作与失败",
        "log level: DEBUG has a line for every stock, INFO for batches and totals, WARNING only for slow work and failures",
        _choice(LogLevel),
    )
    log_format: Annotated[LogFormat, BeforeValidator(lowered)] = _knob(
        "LOG_FORMAT",
        "console",
        "终端日志的形式：console 供人阅读，json 供程序读取",
        "form of the log on the terminal: console for people, json for programs",
        _choice(LogFormat),
    )
    slow_item_seconds: float = _knob(
        "SLOW_ITEM_SECONDS",
        5,
        "单项工作超过该秒数即以 WARNING 记录并指明原因",
        "a piece of work that takes longer is logged at WARNING with its cause, in seconds",
        ("0.01 到 86400 的秒数", "seconds from 0.01 to 86400"),
        least=0.01,
        most=86400,
    )
    simulated_stocks: int = _knob(
        "SIMULATED_STOCKS",
        300,
        "模拟行情中的股票数",
        "stocks in the made-up market",
        _whole(1, 10_000),
        least=1,
        most=10_000,
    )
    simulated_seed: int = _knob(
        "SIMULATED_SEED",
        20260101,
        "模拟行情的随机种子；相同种子得到相同行情",
        "seed of the made-up market; the same seed gives the same market",
        _whole(0, 2**31 - 1),
        least=0,
        most=2**31 - 1,
    )

    @property
    def language(self) -> Language:
        """Return the language to speak, `auto` resolved by the system's locale."""
        return self.language_choice if self.language_choice != "auto" else locale_language(os.environ)

    def secrets(self) -> list[str]:
        """Return the secret values that must never be printed, for the log's mask."""
        known = (
            self.database_url,
            self.baostock_api_key,
            self.tushare_token,
            self.alert_url,
            self.alert_secret,
            self.cache_redis_url,
        )
        values = [value for value in known if value is not None]
        words = [value.get_secret_value() for value in values]
        for address in (self.database_url, self.cache_redis_url):
            password = "" if address is None else urlsplit(address.get_secret_value()).password or ""
            words += [password, unquote(password)]
        return [word for word in words if word]
