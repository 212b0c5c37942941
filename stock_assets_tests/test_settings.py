"""Settings: one sentence for every value that cannot be used, and no secret in any text."""

import os
from datetime import date
from pathlib import Path

import pytest

from stock_assets.domain.errors import ConfigurationError
from stock_assets.settings import Settings, knobs, load_settings, preferred_language

SECRET = "geheim-7351"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = {knob.env for knob in knobs()} | {"LC_ALL", "LC_MESSAGES", "LANG"}
    for name in names & set(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_defaults_are_those_of_the_contract() -> None:
    settings = load_settings()
    assert settings.home == Path.home() / ".stock_assets"
    assert settings.database_url is None
    assert (settings.source, settings.today) == ("auto", None)
    assert (settings.baostock_host, settings.baostock_port) == ("public-api.baostock.com", 10030)
    assert (settings.baostock_pool_size, settings.baostock_daily_quota) == (1, 50_000)
    assert (settings.baostock_session_ttl_seconds, settings.baostock_timeout_seconds) == (3600, 30)
    assert (settings.tushare_points, settings.tushare_min_interval_seconds) == (2000, 0.35)
    assert settings.tushare_is_adaptive
    assert (settings.daily_sync_batch_size, settings.daily_sync_concurrency) == (100, 10)
    assert (settings.db_pool_size, settings.db_max_overflow) == (10, 20)
    assert (settings.cache_ttl_daily_seconds, settings.cache_expiry, settings.cache_redis_url) == (3600, "soft", None)
    assert (settings.log_level, settings.log_format, settings.slow_item_seconds) == ("INFO", "console", 5)
    assert (settings.simulated_stocks, settings.simulated_seed) == (300, 20260101)


def test_the_environment_wins_over_the_file_and_unknown_names_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("DB_POOL_SIZE=3\nLOG_LEVEL=error\nSOMETHING_ELSE=1\nBAOSTOCK_PORT=\n", encoding="utf-8")
    monkeypatch.setenv("DB_POOL_SIZE", "4")
    settings = load_settings()
    assert (settings.db_pool_size, settings.log_level, settings.baostock_port) == (4, "ERROR", 10030)


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_POOL_SIZE", "4")
    assert Settings(db_pool_size=7).db_pool_size == 7


@pytest.mark.parametrize("text", ["2026-01-05", "20260105"])
def test_today_is_read_in_both_forms(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("STOCK_ASSETS_TODAY", text)
    assert load_settings().today == date(2026, 1, 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BAOSTOCK_PORT", "70000"),
        ("BAOSTOCK_PORT", "abc"),
        ("BAOSTOCK_POOL_SIZE", "0"),
        ("BAOSTOCK_TIMEOUT", "nan"),
        ("BAOSTOCK_SESSION_TTL", "-1"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("STOCK_ASSETS_SOURCE", "wind"),
        ("STOCK_ASSETS_TODAY", "2026-13-01"),
        ("STOCK_ASSETS_TODAY", "1767571200"),
        ("STOCK_ASSETS_LANGUAGE", "fr"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_name_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    knob = next(knob for knob in knobs() if knob.env == name)
    for sentence, allowed in (
        (caught.value.sentence("zh"), knob.allowed_zh),
        (caught.value.sentence("en"), knob.allowed_en),
    ):
        assert name in sentence
        assert value.casefold() in sentence.casefold()
        assert allowed in sentence
        assert "\n" not in sentence


def test_secrets_of_both_sources_of_the_alert_and_of_redis_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("TUSHARE_TOKEN", "BAOSTOCK_API_KEY", "STOCK_ASSETS_ALERT_URL", "CACHE_REDIS_URL")
    for name in names:
        monkeypatch.setenv(name, f"{SECRET}-{name}")
    settings = load_settings()
    assert {f"{SECRET}-{name}" for name in names} <= set(settings.secrets())
    assert SECRET not in repr(settings)


def test_the_password_of_redis_alone_is_a_secret_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_REDIS_URL", f"redis://:{SECRET}%21@host:6379/0")
    assert {f"{SECRET}%21", f"{SECRET}!"} <= set(load_settings().secrets())


@pytest.mark.parametrize("url", [f"mysql://u:{SECRET}@h/d", f"postgresql://u:{SECRET}@h:99999/d", SECRET])
def test_a_refused_secret_is_in_no_text_of_the_error(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("STOCK_ASSETS_DATABASE_URL", url)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    texts = [caught.value.sentence("zh"), caught.value.sentence("en"), repr(caught.value), str(caught.value.facts)]
    assert not [text for text in texts if SECRET in text]


def test_secrets_are_masked_when_printed_and_named_for_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCK_ASSETS_DATABASE_URL", f"postgresql://u:{SECRET}%21@h/d")
    monkeypatch.setenv("BAOSTOCK_API_KEY", f"key-{SECRET}")
    settings = load_settings()
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.model_dump())
    assert {f"{SECRET}%21", f"{SECRET}!", f"key-{SECRET}"} <= set(settings.secrets())


def test_a_file_where_the_data_folder_should_be_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "a-file"
    file.touch()
    monkeypatch.setenv("STOCK_ASSETS_HOME", str(file))
    with pytest.raises(ConfigurationError, match="folder is needed"):
        load_settings()


def test_a_file_of_settings_that_is_not_text_is_a_configuration_error() -> None:
    Path(".env").write_bytes(b"LOG_LEVEL=\xff\xfe")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load_settings()


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "STOCK_ASSETS_LANGUAGE": "zh"}, "zh"),
        ({"LANG": "zh_TW", "STOCK_ASSETS_LANGUAGE": "nonsense"}, "zh"),
        ({"LANG": "de_DE"}, "en"),
    ],
)
def test_the_language_follows_the_setting_then_the_locale(environ: dict[str, str], language: str) -> None:
    assert preferred_language(environ) == language
