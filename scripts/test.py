"""Set everything up and run the tests: `python3 scripts/test.py`; arguments go to pytest.

Without arguments the whole suite runs, a file a process at a time, in as many processes as there are cores, four at most.
"""

import sys

import _bootstrap

WHOLE_SUITE = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"]

if __name__ == "__main__":
    _bootstrap.run_in_environment(["-m", "pytest", *(sys.argv[1:] or WHOLE_SUITE)], with_dev=True)
