"""Ctrl-C once asks the work to stop and keep what it has; twice aborts it."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["stop_on_interrupt"]


@contextmanager
def stop_on_interrupt(notice: str) -> Iterator[Callable[[], bool]]:
    """Give a `should_stop` that turns True with the first Ctrl-C.

    Parameters
    ----------
    notice
        Printed at the first Ctrl-C. The second raises KeyboardInterrupt as usual.

    Yields
    ------
    callable
        Whether Ctrl-C was pressed.
    """
    pressed = False

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # print() may be interrupted in the middle of itself; the system call may not.
        with suppress(OSError):
            os.write(1, f"\n{notice}\n".encode())

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
