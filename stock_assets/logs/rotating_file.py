"""A log file that several processes write to at once and that stays bounded in size."""

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path


class SharedRotatingFile(RotatingFileHandler):
    """A log file of bounded size that several processes write to at once.

    Python's own handler renames a file under the other writers, which then go on writing into an old one: here every
    writer follows the name, and only one of them rotates.
    """

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: ARG002, N802 - the names are Python's
        """Return whether the file that has the name now is full; Python's own answer would render the line once more."""
        return self._follow_the_name() >= self.maxBytes

    def doRollover(self) -> None:  # noqa: N802 - the name is Python's
        """Rotate, unless another process just did."""
        # Needed once in many megabytes; its import costs more than many lines.
        import fasteners  # noqa: PLC0415

        with fasteners.InterProcessLock(f"{self.baseFilename}.lock"):
            if self._follow_the_name() < self.maxBytes:
                return
            try:
                super().doRollover()
            except OSError:
                # Windows does not rename a file that another process has open: write on, rotate another time.
                self._open_again()

    def _follow_the_name(self) -> int:
        """Return the size of the file that has the name, once it is the one that is open."""
        try:
            mine = os.fstat(self.stream.fileno()) if self.stream else None
            named = Path(self.baseFilename).stat()
        except (OSError, ValueError):
            # Gone from under us, or closed by a rotation that failed half way.
            return self._open_again()
        return named.st_size if mine and os.path.samestat(mine, named) else self._open_again()

    def _open_again(self) -> int:
        if self.stream:
            self.stream.close()
        self.stream = self._open()
        return os.fstat(self.stream.fileno()).st_size
