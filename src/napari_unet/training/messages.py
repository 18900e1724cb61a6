"""What a training says to the person who waits for it, in sentences."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from napari_unet.durations import duration
from napari_unet.network.encoder_weights import HUB
from napari_unet.prediction import out_of_memory, pixel_ratio
from napari_unet.training.configuration import TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHOWN = 3  # names in a row
_USELESS = 0.1  # a score below which a network hardly finds anything right

__all__ = [
    "encoder_message",
    "kept_back_message",
    "late_classes_message",
    "network_ended_message",
    "network_message",
    "no_step_message",
    "no_validation_message",
    "not_measured_message",
    "pixel_message",
    "scale_message",
    "start_message",
    "stopped_early",
    "trained_message",
    "unpainted_message",
    "without_effect_message",
]


def scale_message(scale: float) -> str:
    """Say at which working scale the network sees the images."""
    if scale == 1:
        return "The network sees the images at full resolution"
    return f"The network sees the images at {scale:.2g} of their size"


def pixel_message(sizes: Sequence[float | None], reference: float | None) -> str:
    """Say that images are brought to one pixel size; empty where all have it.

    Parameters
    ----------
    sizes : sequence of float or None
        Micrometres per pixel of each image.
    reference : float or None
        What they are brought to.
    """
    known = [size for size in sizes if size is not None]
    if all(pixel_ratio(size, reference) == 1 for size in known):
        return ""
    return (
        f"The images have pixels of {min(known):.3g} to {max(known):.3g} µm; the network sees "
        f"them as if all had {reference:.3g} µm"
    )


def start_message(name: str, changes: str) -> str:
    """Say which model is gone on from, and what of it is new."""
    return f"Goes on from {name}" + (f" with {changes}" if changes else "")


def unpainted_message(names: Sequence[str]) -> str:
    """Say which classes a model knows that are painted nowhere; empty where there are none."""
    if not names:
        return ""
    return (
        f"The model also knows {_in_a_row(names)}, painted nowhere here, and will forget them; "
        "paint some, or let the old images join in"
    )


def kept_back_message(names: Sequence[str]) -> str:
    """Say which whole images only measure the quality; empty where there are none."""
    if not names or not all(names):
        return ""
    shown = _in_a_row(names[:_SHOWN]) if len(names) <= _SHOWN else f"{len(names)} images"
    return f"Only to measure the quality: {shown}"


def cannot_join_message(error: BaseException) -> str:
    """Say why what was painted meanwhile is not learnt from; the training goes on without it."""
    return f"The newest painting cannot join yet: {_reason(error)}"


def late_classes_message(names: Sequence[str]) -> str:
    """Say that classes were painted too late for this training."""
    return (
        f"{_in_a_row(names)} came after the training had begun and cannot join it; stop, and "
        "start another training"
    )


def _in_a_row(names: Sequence[str]) -> str:
    return _listed([f"“{name}”" for name in names])


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def encoder_message(encoder: str, weights: str | None) -> str:
    """Say what an encoder begins with, because a download takes a while."""
    if weights is None:
        begins = "random weights"
    elif weights == HUB:
        begins = "what it learnt from the photographs of ImageNet (downloaded the first time)"
    else:
        begins = f"the weights in {weights}"
    return f"The encoder {encoder} starts from {begins}"


def without_effect_message(options: Mapping[str, str]) -> str:
    """Say which options were chosen in vain; empty where none was.

    Parameters
    ----------
    options : mapping
        The name of each, and why it has no effect.
    """
    if not options:
        return ""
    titles = {field.name: field.metadata["title"] for field in fields(TrainingConfig)}
    alike: dict[str, list[str]] = {}
    for name, because in options.items():
        alike.setdefault(because, []).append(_in_words(name, titles[name]))
    told = [f"{_listed(names)}, because {because}" for because, names in alike.items()]
    return f"Without effect: {'; '.join(told)}"


def _in_words(name: str, title: str) -> str:
    """Return what an option is called in a window, and elsewhere where that is another name."""
    return title if title.lower() == name else f"{title} ({name})"


def no_validation_message(wanted: float, task: str) -> str:
    """Say why nothing is kept back, where a share of what is annotated was `wanted` for it."""
    if wanted == 0:
        return "Nothing is kept back for validation"
    if task != "instances":
        return (
            "Too little is annotated to keep some of it back for validation"
            + (" and still learn every class" if task == "classes" else "")
            + "; the quality is not measured"
        )
    return (
        "Too few cells, or too close together, to keep some back for validation; the quality is "
        "not measured"
    )


def no_step_message(seconds: float, *, stopped: bool) -> str:
    """Say why a training ended before its first step, after so many seconds."""
    if stopped:
        return "stopped before the first step; there is no new model"
    return (
        f"preparing the images took {duration(seconds)}, all the time that was given, and "
        "nothing was learnt; give more minutes"
    )


def network_message(number: int, of: int) -> str:
    """Say which network of a training learns now, and what several are for."""
    told = f"Network {number} of {of}"
    return told if number > 1 else f"{told}; they share the time, and their mean predicts"


def network_ended_message(number: int, error: BaseException) -> str:
    """Say why one of several networks ended before its time."""
    return f"Network {number} ended early ({_reason(error)})"


def not_measured_message(error: BaseException) -> str:
    """Say that how good a network is stays unknown; what it learnt is kept."""
    return f"The quality could not be measured: {error}"


def stopped_early(error: BaseException) -> str:
    """Say why a training ended before its time; what it learnt so far is kept."""
    return f"The training stopped early ({_reason(error)}); what it learnt until then is kept"


def _reason(error: BaseException) -> str:
    return "the memory is used up" if out_of_memory(error) else str(error)


def hardly_learnt_message(score: float | None) -> str:
    """Say that a network is of no use yet; empty where it is, or nobody knows."""
    if score is None or score >= _USELESS:
        return ""
    return (
        f"It hardly finds anything right yet (score {score:.2f}): give it more minutes, or "
        "annotate more"
    )


def trained_message(
    steps: int, seconds: float, *, networks: int = 1, of: int = 1, others_stay: bool = False
) -> str:
    """Say how long a training was, and how many of several networks learnt.

    `others_stay` tells that those which did not are in the model as they were before.
    """
    told = f"Trained for {steps} {'step' if steps == 1 else 'steps'} in {duration(seconds)}"
    if of == 1:
        return told
    if others_stay:
        return f"{told}; {networks} of {of} networks went on, the others stay as they were"
    if networks == of:
        return f"{told}; the mean of {of} networks predicts"
    return f"{told}; {networks} of {of} networks got far enough to predict"
