"""When the memory is used up: how to tell, and what to say."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from napari_unet.prediction.errors import PredictionError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["out_of_memory", "told_when_full"]


_FULL = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")
"""What torch says of the main memory, and of a GPU's; the last is cuBLAS's and cuDNN's."""


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of torch or numpy means that the memory is used up."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _FULL)


@contextmanager
def told_when_full() -> Iterator[None]:
    """Say in words that a whole slice does not fit, which smaller tiles would not help."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise PredictionError(
            "there is not enough memory for the result of one slice; close other programs, or cut "
            "the image into parts"
        ) from error
