"""What goes wrong on the command line becomes one sentence on stderr."""

from __future__ import annotations

import sys
import traceback

__all__ = ["CommandError", "Failures", "Reported", "UsageError", "complain", "sentence"]


class CommandError(Exception):
    """Something that was asked for cannot be done; the message says why and what to do."""


class UsageError(CommandError):
    """The command line itself is wrong."""


class Reported(Exception):
    """Everything that went wrong has been said already; only the exit code is left to set."""


class Failures:
    """Collect what went wrong with single files while the others go on."""

    def __init__(self, *, debug: bool) -> None:
        self.count = 0
        self._debug = debug

    def add(self, error: Exception, about: str = "") -> None:
        """Report an error about one file at once, and remember that there was one."""
        self.count += 1
        complain(error, about, debug=self._debug)

    def warn(self, doubt: str, about: str) -> None:
        """Tell what may be wrong with one file, which is taken all the same."""
        complain(UserWarning(doubt), about, debug=False)

    def finish(self) -> None:
        """Raise `Reported` if there was any."""
        if self.count:
            raise Reported


def sentence(error: BaseException, about: str = "") -> str:
    """Say in one line what went wrong.

    Parameters
    ----------
    error
        Any exception. Those that the engine raises on purpose already hold a sentence.
    about
        The file that it is about, put in front unless the message names it.
    """
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    if isinstance(error, MemoryError):
        text = "the memory is used up; close other programs or use smaller images"
    if not text or isinstance(error, (LookupError, TypeError, AttributeError, AssertionError)):
        text = f"{type(error).__name__}: {text or 'no message'} (--debug shows where)"
    return text if not about or about in text else f"{about}: {text}"


def complain(error: BaseException, about: str = "", *, debug: bool) -> None:
    """Write one sentence about an error to stderr, after its traceback when debugging."""
    if debug:
        traceback.print_exception(error)
    print(f"napari-unet: {sentence(error, about)}", file=sys.stderr)
