"""What can go wrong in a training, in sentences for the person in front of it."""

from __future__ import annotations

__all__ = ["StoppedError", "TrainingError"]


class TrainingError(Exception):
    """A training cannot start or go on; the message says why and what to do.

    Not a RuntimeError: that kind never leaves a generator that runs in a Qt worker thread.
    """


class StoppedError(TrainingError):
    """A person stopped a training before its first step: no model, and nothing is wrong."""
