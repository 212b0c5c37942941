"""Set everything up and run the tests: `python3 scripts/test.py`; arguments go to pytest."""

import sys

import _bootstrap

if __name__ == "__main__":
    _bootstrap.run_in_environment(["-m", "pytest", *sys.argv[1:]], with_dev=True)
