"""Ctrl-C once asks the work to stop and keep what it has; twice aborts it."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
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
        sys.stdout.write(f"\n{notice}\n")

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
