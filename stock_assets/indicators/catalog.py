"""The one list of indicators: from it come the kernels' columns, the table's columns and the page in the docs.

An indicator of one's own is one more `Family`, in a file of one's own: see `own`.
"""

from collections.abc import Iterable, Sequence

from stock_assets.indicators.family import Family, Indicator

_ROOM = "stock_assets.indicators"
_TDX = "通达信 | the formula of 通达信"
_RECORDED = "通达信；与 Tushare stk_factor 的真实记录一致 | 通达信; agrees with recorded stk_factor"
_MEANS = (5, 10, 20, 30, 60, 120, 250)


def _price(  # noqa: PLR0913  as the columns of a page
    name: str, zh: str, en: str, formula: str, first_row: int, *, is_state: bool = False
) -> Indicator:
    return Indicator(
        name=name,
        zh=zh,
        en=en,
        formula=formula,
        first_row=first_row,
        basis="price",
        unit="CNY, back-adjusted",
        is_state=is_state,
    )


def _number(  # noqa: PLR0913  as `_price`
    name: str, zh: str, en: str, formula: str, first_row: int, unit: str = ""
) -> Indicator:
    return Indicator(name=name, zh=zh, en=en, formula=formula, first_row=first_row, unit=unit)


def _count(name: str, zh: str, en: str, formula: str) -> Indicator:
    return Indicator(name=name, zh=zh, en=en, formula=formula, first_row=1, unit="sessions", kind="integer")


MA = Family(
    name="ma",
    zh="移动平均线",
    en="simple moving averages",
    inputs=("close",),
    indicators=tuple(
        _price(f"ma_{n}", f"{n} 日均线", f"simple moving average of {n} sessions", f"MA(CLOSE,{n})", n) for n in _MEANS
    ),
    kernel=f"{_ROOM}.moving_averages:moving_averages",
    lookback=249,
    source=_TDX,
)
EMA = Family(
    name="ema",
    zh="指数移动平均线",
    en="exponential moving averages",
    inputs=("close",),
    indicators=tuple(
        _price(f"ema_{n}", f"{n} 日指数均线", f"exponential moving average of {n} sessions", f"EMA(CLOSE,{n})", 1)
        for n in _MEANS
    ),
    kernel=f"{_ROOM}.exponential:exponential_averages",
    lookback=0,
    source=_TDX,
)
MACD = Family(
    name="macd",
    zh="MACD(12,26,9)",
    en="moving average convergence divergence",
    inputs=("close",),
    indicators=(
        _price("ema_12", "12 日指数均线", "exponential moving average of 12 sessions", "EMA(CLOSE,12)", 1),
        _price("ema_26", "26 日指数均线", "exponential moving average of 26 sessions", "EMA(CLOSE,26)", 1),
        _price("dif", "MACD 快线", "difference of both averages", "EMA(CLOSE,12)-EMA(CLOSE,26)", 1),
        _price("dea", "MACD 慢线", "signal line", "EMA(DIF,9)", 1),
        _price("macd", "MACD 柱", "bar, twice the difference of both lines", "2*(DIF-DEA)", 1),
    ),
    kernel=f"{_ROOM}.exponential:macd",
    lookback=0,
    source=_RECORDED,
)
KDJ = Family(
    name="kdj",
    zh="KDJ(9,3,3)",
    en="stochastic KDJ",
    inputs=("high", "low", "close"),
    indicators=(
        _number("kdj_k", "K 值", "K", "SMA((CLOSE-LLV(LOW,9))/(HHV(HIGH,9)-LLV(LOW,9))*100,3,1)", 9),
        _number("kdj_d", "D 值", "D", "SMA(K,3,1)", 9),
        _number("kdj_j", "J 值", "J", "3*K-2*D", 9),
    ),
    kernel=f"{_ROOM}.stochastic:kdj",
    lookback=8,
    source=_RECORDED,
)
RSI = Family(
    name="rsi",
    zh="RSI(6,12,24)",
    en="relative strength index",
    inputs=("close",),
    indicators=(
        *(
            _number(
                f"rsi_{n}",
                f"{n} 日 RSI",
                f"relative strength index of {n} sessions",
                f"SMA(MAX(CLOSE-REF(CLOSE,1),0),{n},1)/SMA(ABS(CLOSE-REF(CLOSE,1)),{n},1)*100",
                2,
            )
            for n in (6, 12, 24)
        ),
        *(
            _price(
                f"rsi_gain_{n}",
                f"{n} 日平均涨幅",
                f"mean gain behind rsi_{n}",
                f"SMA(MAX(CLOSE-LC,0),{n},1)",
                2,
                is_state=True,
            )
            for n in (6, 12, 24)
        ),
        *(
            _price(
                f"rsi_move_{n}",
                f"{n} 日平均变动",
                f"mean move behind rsi_{n}",
                f"SMA(ABS(CLOSE-LC),{n},1)",
                2,
                is_state=True,
            )
            for n in (6, 12, 24)
        ),
    ),
    kernel=f"{_ROOM}.strength:rsi",
    lookback=1,
    source=_RECORDED,
)
BOLL = Family(
    name="boll",
    zh="BOLL(20,2)",
    en="Bollinger bands",
    inputs=("close",),
    indicators=(
        _price("boll_upper", "布林上轨", "upper band", "MA(CLOSE,20)+2*STDP(CLOSE,20)", 20),
        _price("boll_mid", "布林中轨", "middle band", "MA(CLOSE,20)", 20),
        _price("boll_lower", "布林下轨", "lower band", "MA(CLOSE,20)-2*STDP(CLOSE,20)", 20),
    ),
    kernel=f"{_ROOM}.bands:boll",
    lookback=19,
    source=_RECORDED,
)
ATR = Family(
    name="atr",
    zh="ATR(14)",
    en="average true range",
    inputs=("high", "low", "close"),
    indicators=(
        _price(
            "true_range", "真实波幅", "true range", "MAX(MAX(HIGH-LOW,ABS(REF(CLOSE,1)-HIGH)),ABS(REF(CLOSE,1)-LOW))", 2
        ),
        _price("atr_14", "14 日平均真实波幅", "mean true range of 14 sessions", "MA(TR,14)", 15),
    ),
    kernel=f"{_ROOM}.ranges:average_true_range",
    lookback=14,
    source=_TDX,
)
CCI = Family(
    name="cci",
    zh="CCI(14)",
    en="commodity channel index",
    inputs=("high", "low", "close"),
    indicators=(
        _number("cci_14", "14 日 CCI", "commodity channel index", "(TYP-MA(TYP,14))/(0.015*AVEDEV(TYP,14))", 14),
    ),
    kernel=f"{_ROOM}.channel:cci",
    lookback=13,
    source=_RECORDED,
)
WR = Family(
    name="wr",
    zh="WR(10,6)",
    en="Williams %R",
    inputs=("high", "low", "close"),
    indicators=tuple(
        _number(
            f"wr_{n}",
            f"{n} 日威廉指标",
            f"Williams %R of {n} sessions, 0 = at the high",
            f"(HHV(HIGH,{n})-CLOSE)/(HHV(HIGH,{n})-LLV(LOW,{n}))*100",
            n,
        )
        for n in (10, 6)
    ),
    kernel=f"{_ROOM}.stochastic:williams",
    lookback=9,
    source=_TDX,
)
BIAS = Family(
    name="bias",
    zh="BIAS(6,12,24)",
    en="distance from the moving average",
    inputs=("close",),
    indicators=tuple(
        _number(
            f"bias_{n}",
            f"{n} 日乖离率",
            f"distance of the close from its mean of {n} sessions",
            f"(CLOSE-MA(CLOSE,{n}))/MA(CLOSE,{n})*100",
            n,
            "%",
        )
        for n in (6, 12, 24)
    ),
    kernel=f"{_ROOM}.momentum:bias",
    lookback=23,
    source=_TDX,
)
DMI = Family(
    name="dmi",
    zh="DMI(14,6)",
    en="directional movement",
    inputs=("high", "low", "close"),
    indicators=(
        _number("dmi_pdi", "上升动向 PDI", "positive direction", "SUM(IF(HD>0&&HD>LD,HD,0),14)*100/SUM(TR,14)", 15),
        _number("dmi_mdi", "下降动向 MDI", "negative direction", "SUM(IF(LD>0&&LD>HD,LD,0),14)*100/SUM(TR,14)", 15),
        _number("dmi_adx", "平均动向 ADX", "mean directional index", "MA(ABS(MDI-PDI)/(MDI+PDI)*100,6)", 20),
        _number("dmi_adxr", "平均动向 ADXR", "mean of ADX and the one 6 sessions before", "(ADX+REF(ADX,6))/2", 26),
    ),
    kernel=f"{_ROOM}.ranges:directional_movement",
    lookback=25,
    source=_TDX,
)
OBV = Family(
    name="obv",
    zh="能量潮",
    en="on-balance volume",
    inputs=("volume", "direction"),
    indicators=(
        _number(
            "obv",
            "能量潮：上涨日加、下跌日减成交量",
            "volume of rising days less that of falling days",
            "SUM(SIGN*VOL,0)",
            1,
            "shares",
        ),
    ),
    kernel=f"{_ROOM}.volumes:on_balance_volume",
    lookback=0,
    source=f"{_TDX}; 方向取自不复权收盘价与交易所前收盘价 | signs by the traded close against the exchange's previous close",
)
MOMENTUM = Family(
    name="momentum",
    zh="ROC(12)、MTM(12)",
    en="rate of change and momentum",
    inputs=("close",),
    indicators=(
        _number(
            "roc_12",
            "12 日变动率",
            "rate of change over 12 sessions",
            "(CLOSE-REF(CLOSE,12))/REF(CLOSE,12)*100",
            13,
            "%",
        ),
        _price("mtm_12", "12 日动量", "change over 12 sessions", "CLOSE-REF(CLOSE,12)", 13),
    ),
    kernel=f"{_ROOM}.momentum:momentum",
    lookback=12,
    source=_TDX,
)
PSY = Family(
    name="psy",
    zh="PSY(12)",
    en="psychological line",
    inputs=("direction",),
    indicators=(
        _number(
            "psy_12", "12 日心理线：上涨日占比", "share of rising sessions among 12", "COUNT(SIGN>0,12)/12*100", 12, "%"
        ),
    ),
    kernel=f"{_ROOM}.momentum:psychological_line",
    lookback=11,
    source=_TDX,
)
VR = Family(
    name="vr",
    zh="VR(26)",
    en="volume ratio of rising and falling sessions",
    inputs=("volume", "direction"),
    indicators=(
        _number(
            "vr_26",
            "26 日容量比率",
            "volume of rising sessions against falling ones",
            "100*(SUM(IF(SIGN>0,VOL,0),26)*2+SUM(IF(SIGN=0,VOL,0),26))/(SUM(IF(SIGN<0,VOL,0),26)*2+SUM(IF(SIGN=0,VOL,0),26))",
            26,
        ),
    ),
    kernel=f"{_ROOM}.volumes:volume_direction_ratio",
    lookback=25,
    source=_TDX,
)
TRIX = Family(
    name="trix",
    zh="TRIX(12)",
    en="change of the triple exponential average",
    inputs=("close",),
    indicators=(
        _number(
            "trix_12", "三重指数平滑变动率", "change of the triple average", "(TR-REF(TR,1))/REF(TR,1)*100", 2, "%"
        ),
        *(
            _price(
                f"trix_ema_{n}",
                f"TRIX 第 {n} 重均线",
                f"average {n} of 3 behind trix_12",
                "EMA(" * n + "CLOSE" + ",12)" * n,
                1,
                is_state=True,
            )
            for n in (1, 2, 3)
        ),
    ),
    kernel=f"{_ROOM}.exponential:trix",
    lookback=0,
    source=_TDX,
)
VOLUME = Family(
    name="volume",
    zh="均量线、量比",
    en="moving averages of volume, and volume against them",
    inputs=("volume",),
    indicators=(
        *(
            _number(f"volume_ma_{n}", f"{n} 日均量", f"mean volume of {n} sessions", f"MA(VOL,{n})", n, "shares")
            for n in (5, 10, 20, 60)
        ),
        _number(
            "volume_ratio",
            "量比：成交量与前 5 日均量之比",
            "volume against the mean of the 5 sessions before",
            "VOL/REF(MA(VOL,5),1)",
            6,
        ),
    ),
    kernel=f"{_ROOM}.volumes:volume_averages",
    lookback=59,
    source=_TDX,
)
EXTREMES = Family(
    name="extremes",
    zh="N 日最高、最低",
    en="highest and lowest prices of N sessions",
    inputs=("high", "low"),
    indicators=tuple(
        indicator
        for n in (20, 60, 250)
        for indicator in (
            _price(f"high_{n}", f"{n} 日最高价", f"highest price of {n} sessions", f"HHV(HIGH,{n})", n),
            _price(f"low_{n}", f"{n} 日最低价", f"lowest price of {n} sessions", f"LLV(LOW,{n})", n),
        )
    ),
    kernel=f"{_ROOM}.extremes:extremes",
    lookback=249,
    source=_TDX,
)
STREAK = Family(
    name="streak",
    zh="连涨、连跌天数",
    en="rising and falling sessions in a row",
    inputs=("direction",),
    indicators=(
        _count("up_days", "连涨天数", "rising sessions in a row up to this one", "BARSLASTCOUNT(SIGN>0)"),
        _count("down_days", "连跌天数", "falling sessions in a row up to this one", "BARSLASTCOUNT(SIGN<0)"),
        _count(
            "bar_number", "该股票在存储中的第几根日线", "number of the bar in the stock's series", "BARSCOUNT(CLOSE)"
        ),
    ),
    kernel=f"{_ROOM}.streaks:streaks",
    lookback=0,
    source=_TDX,
)

FAMILIES: tuple[Family, ...] = (
    MA,
    EMA,
    MACD,
    KDJ,
    RSI,
    BOLL,
    ATR,
    CCI,
    WR,
    BIAS,
    DMI,
    OBV,
    MOMENTUM,
    PSY,
    VR,
    TRIX,
    VOLUME,
    EXTREMES,
    STREAK,
)

EXCHANGE_RULES = "交易所规则 | exchange rules"
"""What stands for a formula where there is none."""
LIMITS: tuple[Indicator, ...] = (
    Indicator(
        name="limit_up_price",
        zh="涨停价；无涨跌幅限制时为空",
        en="limit-up price; null where there is no limit",
        formula=EXCHANGE_RULES,
        first_row=1,
        basis="traded",
        unit="CNY",
    ),
    Indicator(
        name="limit_down_price",
        zh="跌停价；无涨跌幅限制时为空",
        en="limit-down price; null where there is no limit",
        formula=EXCHANGE_RULES,
        first_row=1,
        basis="traded",
        unit="CNY",
    ),
    Indicator(
        name="is_limit_up",
        zh="收盘涨停",
        en="closed at the limit-up price",
        formula=EXCHANGE_RULES,
        first_row=1,
        kind="boolean",
    ),
    Indicator(
        name="is_limit_down",
        zh="收盘跌停",
        en="closed at the limit-down price",
        formula=EXCHANGE_RULES,
        first_row=1,
        kind="boolean",
    ),
)
"""Computed from the bar and the security by `domain.price_limits`, without a kernel."""


def families_of(names: Iterable[str], families: Sequence[Family] = FAMILIES) -> tuple[Family, ...]:
    """Return the families that compute the columns of these names.

    Errors: `KeyError` names a column that no family computes.
    """
    asked = set(names)
    found = tuple(family for family in families if asked & set(family.names))
    unknown = asked.difference(*(family.names for family in found)) if found else asked
    if unknown:
        raise KeyError(", ".join(sorted(unknown)))
    return found
