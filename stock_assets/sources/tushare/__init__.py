"""Tushare Pro: the official client's requests over a transport of our own, its answers, and its words in ours."""
