"""What can go wrong with files, as sentences for the user."""

from __future__ import annotations

import errno
import struct
import tokenize
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FileError", "reading"]

# What the decoders of TIFF, PNG, Zarr and npz raise on bytes that are not what they should be;
# imagecodecs' own errors are RuntimeErrors.
_BROKEN = (
    ValueError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    TypeError,
    AttributeError,
    AssertionError,
    EOFError,
    SyntaxError,
    SystemError,
    tokenize.TokenError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your share of the disk is full",
    errno.EFBIG: "the disk takes no file of this size",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "you may not write there or read it",
    errno.EPERM: "you may not write there or read it",
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.EISDIR: "it is a folder",
    errno.ENAMETOOLONG: "the name is too long",
}
# Libraries raise these without a number.
_KINDS: dict[type[OSError], int] = {
    FileNotFoundError: errno.ENOENT,
    NotADirectoryError: errno.ENOTDIR,
    IsADirectoryError: errno.EISDIR,
    PermissionError: errno.EACCES,
}


class FileError(Exception):
    """A file could not be read, matched or written; the message is a sentence for the user."""


def reason(error: OSError) -> str:
    """Say in words why the system refused."""
    number = error.errno or _KINDS.get(type(error), 0)
    return _REASONS.get(number, error.strerror or str(error) or type(error).__name__)


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn every failure while reading `path` into one `FileError`.

    Parameters
    ----------
    path
        The file that is read.
    what
        What it should be, for example ``"a TIFF image"``.
    """
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"{path} cannot be read: {reason(error)}") from error
    except MemoryError as error:
        raise FileError(f"{path} needs more memory than there is, or is damaged") from error
    except _BROKEN as error:
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        raise FileError(f"{path} is damaged or not {what} ({detail})") from error
