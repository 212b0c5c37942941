"""Set everything up and run the tests: `python3 scripts/test.py`; arguments go to pytest.

Without arguments the whole suite runs, a file a process at a time, in one process more than there are cores: a third of
the time a test waits for a clock or a process of its own. The files that take long come first.
"""

import os
import sys

import _bootstrap

_MOST = 5
WHOLE_SUITE = ["-n", str(min((os.cpu_count() or 1) + 1, _MOST)), "--dist", "loadfile", "--no-loadscope-reorder"]

if __name__ == "__main__":
    # The tests start hundreds of processes; without kept bytecode each would compile some three thousand modules anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    _bootstrap.run_in_environment(["-m", "pytest", *(sys.argv[1:] or WHOLE_SUITE)], with_dev=True)
