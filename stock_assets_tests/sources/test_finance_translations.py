"""Both sources' reports in our columns: exact, and the same where both say they mean the same."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.finance_tables import FINANCE_INDICATOR, VALUES
from stock_assets.quality.finance_rules import judge_reports
from stock_assets.quality.finance_versions import resolve
from stock_assets.sources.baostock.translate_finance import SOURCES, TABLES, joined
from stock_assets.sources.baostock.translate_finance import translate_finance as translate_baostock
from stock_assets.sources.tushare.translate_finance import translate_finance as translate_tushare
from stock_assets_tests.house.repository import ROOT
from stock_assets_tests.quality.made_up_reports import FIELDS, answer

STOCKS = ["600036.SH", "600519.SH", "002594.SZ"]
KEYS = ["ts_code", "end_date"]
BAOSTOCK: dict[str, list[str]] = {
    table: ["code", "pubDate", "statDate", *(source.field for source in SOURCES.values() if source.table == table)]
    for table in TABLES
}


def read(path: Path) -> pl.DataFrame:
    """Return a recorded answer, all text."""
    return pl.read_csv(path, infer_schema=False)


def tushare_report(folder: Path, code: str) -> pl.DataFrame:
    """Return the recorded reports of a stock; fields that were not asked for are null."""
    told = read(folder / "recorded" / "tushare" / "by_stock" / f"fina_indicator_{code}.csv")
    return told.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in FIELDS if name not in told.columns)


def baostock_row(**texts: str) -> dict[str, pl.DataFrame]:
    """Return six answers about one period, in which what is not said is empty."""
    common = {"code": "sh.600000", "pubDate": "2023-08-31", "statDate": "2023-06-30"}
    return {
        table: pl.DataFrame([{name: texts.get(name, common.get(name, "")) for name in names}])
        for table, names in BAOSTOCK.items()
    }


@pytest.fixture
def market(recorded_data: Path) -> pl.DataFrame:
    """Two of BaoStock's tables for 500 stocks, 2013 to 2023, beside five figures of Tushare's for all, 2016 to 2019."""
    folder = recorded_data / "recorded" / "baostock"
    answers = {table: pl.DataFrame(schema=dict.fromkeys(names, pl.String())) for table, names in BAOSTOCK.items()}
    answers["query_profit_data"] = read(folder / "query_profit_data_2013-2023.csv.gz")
    answers["query_growth_data"] = read(folder / "query_growth_data_2013-2023.csv.gz")
    return translate_baostock(joined(answers)).frame


def test_tushares_figures_are_taken_as_they_are() -> None:
    texts = {"eps": "0.1", "roe": "-8.8887", "fcff": "-966053502.67", "gross_margin": "", "ebit": None, "rd_exp": "1e9"}
    row = {"ts_code": "600519.SH", "ann_date": "20180428", "end_date": "20180331", "update_flag": "1"}
    translated = translate_tushare(answer([{**row, **texts}]))
    found = translated.frame.row(0, named=True)
    assert translated.unreadable == ()
    assert [found[name] for name in texts] == [0.1, -8.8887, -966053502.67, None, None, 1e9]
    assert (found["update_flag"], found["f_ann_date"]) == ("1", None)
    assert {name for name in VALUES if found[name] is not None} == {"eps", "roe", "fcff", "rd_exp"}


def test_a_text_that_is_no_value_is_named() -> None:
    row = {"ts_code": "600519.SH", "ann_date": "2018-04-28", "end_date": "20180331", "eps": "--", "roe": "inf"}
    assert translate_tushare(answer([row])).unreadable == ((0, "ann_date"), (0, "eps"), (0, "roe"))
    lost = baostock_row(roeAvg="--", pubDate="20230831", code="hk.600000", assetToEquity="inf")
    assert {name for _, name in translate_baostock(joined(lost)).unreadable} == {
        "roe", "ann_date", "ts_code", "assets_to_eqt",
    }  # fmt: skip


def test_baostocks_fractions_become_percent_exactly_and_ratios_stay() -> None:
    row = baostock_row(roeAvg="0.032797", YOYEPSBasic="-1209.476191", assetToEquity="12.387695", CFOToOR="-1.238712")
    found = translate_baostock(joined(row)).frame.row(0, named=True)
    assert [found[name] for name in ("roe", "basic_eps_yoy", "assets_to_eqt", "ocf_to_or")] == [
        3.2797, -120947.6191, 12.387695, -123.8712,
    ]  # fmt: skip
    assert {name for name in SOURCES if found[name] is None} == set(SOURCES) - {
        "roe", "basic_eps_yoy", "assets_to_eqt", "ocf_to_or",
    }  # fmt: skip


def test_a_percent_column_comes_from_a_fraction_and_no_other() -> None:
    units = {column.name: column.unit for column in FINANCE_INDICATOR.columns}
    assert {name: source.scale for name, source in SOURCES.items()} == {
        name: 100 if units[name] == "%" else 1 for name in SOURCES
    }


def test_the_documentation_names_every_column_and_where_it_is_from() -> None:
    lines = [
        line.split("|")[1:3]
        for line in (ROOT / "docs" / "finance.md").read_text(encoding="utf-8").splitlines()
        if line[:2] == "| "
    ]
    told = {
        (column.strip("` "), field.strip())
        for columns, fields in lines
        if "`" in columns
        for column, field in zip(columns.split("、"), fields.split("、"), strict=False)
    }
    assert {(name, source.field) for name, source in SOURCES.items()} <= told


def test_a_report_waits_for_all_six_tables_and_is_as_old_as_the_last() -> None:
    answers = baostock_row(roeAvg="0.1")
    later = answers | {"query_dupont_data": answers["query_dupont_data"].with_columns(pubDate=pl.lit("2023-09-02"))}
    assert joined(later)["pubDate"].to_list() == ["2023-09-02"]
    with pytest.raises(KeyError, match="query_dupont_data"):
        joined({table: answers[table] for table in TABLES[:-1]})


def test_both_sources_say_the_same_of_the_same_reports(recorded_data: Path, market: pl.DataFrame) -> None:
    told = [translate_tushare(tushare_report(recorded_data, code)).frame for code in STOCKS]
    pairs = pl.concat(told).join(market, on=KEYS, suffix="_other")
    assert pairs["ts_code"].n_unique() == 3
    assert (pairs["ann_date"] == pairs["ann_date_other"]).all()
    for name in (name for name, source in SOURCES.items() if source.basis == "recorded"):
        both = pairs.select(name, f"{name}_other").drop_nulls()
        # A fraction of six decimals is a percentage of four.
        assert ((both[name] - both[f"{name}_other"]).abs() < 1e-4).all(), name
        assert both.height >= 3


def test_the_market_agrees_but_for_what_was_restated_between_the_recordings(
    recorded_data: Path, market: pl.DataFrame
) -> None:
    told = read(recorded_data / "recorded" / "tushare" / "fina_indicator_5fields_2016-2019.csv.gz").with_columns(
        pl.col("end_date").str.to_date("%Y%m%d")
    )
    pairs = told.join(market, on=KEYS, suffix="_other")
    assert pairs.height > 5_000
    for name in ("roe", "grossprofit_margin", "basic_eps_yoy"):
        both = pairs.select(pl.col(name).cast(pl.Float64), f"{name}_other").drop_nulls()
        same = ((both[name] - both[f"{name}_other"]).abs() < 0.006).mean()
        assert isinstance(same, float)
        assert same > 0.98, name


def test_the_same_equations_hold_in_both_sources(recorded_data: Path) -> None:
    folder = recorded_data / "recorded" / "baostock" / "fundamentals_sh.600000"
    bank = translate_baostock(joined({table: read(folder / f"{table}.csv") for table in TABLES})).frame
    others = pl.concat(translate_tushare(tushare_report(recorded_data, code)).frame for code in STOCKS)
    for reports in (bank, others):
        multiplier = reports.select(pl.col("assets_to_eqt") * (1 - pl.col("debt_to_assets") / 100)).to_series()
        assert multiplier.drop_nulls().len() > 30
        assert ((multiplier - 1).abs() < 2e-4).all()
        # The DuPont equation, but for minorities' part of the profit.
        product = pl.col("netprofit_margin") * pl.col("assets_turn") * pl.col("dp_assets_to_eqt")
        share = reports.select(pl.col("roe") / product).to_series().drop_nulls()
        assert share.len() > 30
        assert share.is_between(0.9, 1.03).all()


def test_recorded_reports_of_both_sources_become_versions(recorded_data: Path) -> None:
    days = read(recorded_data / "calendar" / "akshare_1.19.5_calendar_json.csv").to_series()
    calendar = TradingCalendar.of(days.str.to_date("%Y%m%d"))
    folder = recorded_data / "recorded" / "baostock" / "fundamentals_sh.600000"
    six = joined({table: read(folder / f"{table}.csv") for table in TABLES})
    expected = {"600036.SH": (13, 1, 10), "600519.SH": (12, 2, 10), "002594.SZ": (11, 0, 10)}
    told = [("tushare", translate_tushare(tushare_report(recorded_data, code)), expected[code]) for code in STOCKS]
    for source, translated, counts in [*told, ("baostock", translate_baostock(six), (54, 0, 54))]:
        verdict = judge_reports(translated.frame, unreadable=translated.unreadable)
        assert verdict.rejected.is_empty()
        found = resolve(
            verdict.accepted,
            FINANCE_INDICATOR.empty(),
            source=source,
            fetched_at=datetime(2025, 10, 24, tzinfo=UTC),
            calendar=calendar,
        )
        assert (found.first, found.duplicates, found.versions["is_chosen"].sum()) == counts
        assert (found.versions["known_from"] > found.versions["ann_date"]).all()
        assert all(calendar.is_session(day) for day in found.versions["known_from"])
