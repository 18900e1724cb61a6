"""What can go wrong in a prediction, in sentences for the person in front of it."""

from __future__ import annotations

__all__ = ["PredictionError"]


class PredictionError(Exception):
    """A prediction cannot be made; the message says why and what to do.

    Not a RuntimeError: that kind never leaves a generator that runs in a Qt worker thread.
    """
