"""Show the whole system on this machine, with a simulated market: `python3 scripts/demo.py`."""

import sys

import _bootstrap

if __name__ == "__main__":
    _bootstrap.run_in_environment(["-m", "stock_assets.cli.main", "demo", *sys.argv[1:]], with_dev=False)
