"""Securities over time: the exchanges gave some companies a new number; the old one stopped trading the day before."""

# new code -> old code; from the listed companies' announcements of the change.
CODE_CHANGES: dict[str, str] = {
    "001872.SZ": "000022.SZ",
    "001914.SZ": "000043.SZ",
    "601360.SH": "601313.SH",
}
