"""The program: what a command did or raised becomes an exit code and one sentence."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from napari_unet.cli.app import PROGRAM, app
from napari_unet.cli.failures import Reported, UsageError, complain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["main"]

_INTERRUPTED = 130  # typer's exit code for Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments
        Those after the program's name; by default those that it was started with.

    Returns
    -------
    int
        0 if everything that was asked for was done, 2 for wrong usage, 1 otherwise.
    """
    _show_every_name()
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    with _quiet(not debug):
        try:
            code = app(args=given, prog_name=PROGRAM, standalone_mode=False)
        except Reported:
            return 1
        except (KeyboardInterrupt, typer.Abort):
            return _aborted()
        except Exception as error:  # noqa: BLE001 - the border where every error is told
            complain(_in_words(error), debug=debug)
            return 2 if isinstance(error, UsageError) else int(getattr(error, "exit_code", 1))
    return _aborted() if code == _INTERRUPTED else int(code or 0)


def _show_every_name() -> None:
    """Let names of files that are no text be written as escapes instead of ending the program."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _aborted() -> int:
    print(f"{PROGRAM}: aborted", file=sys.stderr)
    return 1


def _in_words(error: Exception) -> Exception:
    """Return what typer found wrong with the usage as a sentence that says where to look."""
    message = getattr(error, "format_message", None)
    if message is None:
        return error
    where = getattr(getattr(error, "ctx", None), "command_path", PROGRAM)
    words = UsageError(f"{message().rstrip('.')} ({where} --help shows how)")
    return words.with_traceback(error.__traceback__)


@contextmanager
def _quiet(really: bool) -> Iterator[None]:
    """Keep warnings and logs of libraries out of the one sentence on stderr.

    Logging itself stays on: tifffile only logs that a file is damaged, and that must be heard.
    """
    if not really:
        yield
        return
    nobody, last_resort = logging.NullHandler(), logging.lastResort
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.root.addHandler(nobody)
        logging.lastResort = nobody
        try:
            yield
        finally:
            logging.lastResort = last_resort
            logging.root.removeHandler(nobody)
