"""Batches of augmented patches, prepared while a GPU takes the step before."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from napari_unet.augmentation import Patch

__all__ = ["Batches"]


class Batches:
    """Hands out patches in the order in which they are drawn.

    Chance is only asked in that order, so that the patches do not depend on the threads.

    Parameters
    ----------
    draw : callable
        Draws a patch by chance and returns the work that makes it.
    threads : int
        How many threads make the next batch ahead of time. 0 makes every batch when it is taken:
        a training on a CPU keeps the cores busy by itself.
    """

    def __init__(self, draw: Callable[[], Callable[[], Patch]], *, threads: int) -> None:
        self._draw = draw
        self._pool = ThreadPoolExecutor(threads, "patches") if threads else None
        self._ahead: deque[Future[Patch]] = deque()

    def __enter__(self) -> Self:
        """Return the batches."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the threads; what they made ahead is not needed any more."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def take(self, size: int) -> list[Patch]:
        """Return the next patches; what went wrong when one was made is raised here."""
        if self._pool is None:
            return [self._draw()() for _ in range(size)]
        self._make_ahead(self._pool, size)
        patches = [self._ahead.popleft().result() for _ in range(size)]
        self._make_ahead(self._pool, size)
        return patches

    def _make_ahead(self, pool: ThreadPoolExecutor, size: int) -> None:
        while len(self._ahead) < size:
            self._ahead.append(pool.submit(self._draw()))
