"""Measurements, each a program of its own: `python -m stock_assets_tests.benchmarks.<name>`.

They print Markdown for docs/performance.md. Figures of one run are compared with figures of the same run only; nothing
here is a test.
"""
