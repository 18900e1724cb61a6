"""What the networks of one training have in common, what each learns from, and what joins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.annotations import split
from napari_unet.network import TrainedModel
from napari_unet.training.selection import counted_only
from napari_unet.training.sizes import gap_in_pixels
from napari_unet.training.tuning import as_mapping, usual_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.network import ClassLabel, Network, Standardisation
    from napari_unet.training.configuration import TrainingConfig

__all__ = ["Division", "Painting", "Setup", "taken"]


class Painting:
    """What is painted while networks learn, heard of by each of them in its turn.

    Parameters
    ----------
    ask : callable or None
        Returns the annotated images anew, or None where nothing has changed since it was asked.

    Attributes
    ----------
    late : set of int
        Classes that were first painted meanwhile, and told of.
    learnt : sequence of AnnotatedImage or None
        All images as they were when something joined last; None before.
    """

    def __init__(self, ask: Callable[[], Sequence[AnnotatedImage] | None] | None) -> None:
        self._ask = ask
        self._newest: Sequence[AnnotatedImage] | None = None
        self._unheard = False
        self.late: set[int] = set()
        self.learnt: Sequence[AnnotatedImage] | None = None

    def next_network(self) -> None:
        """Tell what was painted so far once more: another network listens now."""
        self._unheard = True

    def news(self) -> Sequence[AnnotatedImage] | None:
        """Return all images as they are now, where this network does not know them yet."""
        fresh = self._ask() if self._ask else None
        self._newest = fresh or self._newest
        told = fresh or (self._newest if self._unheard else None)
        self._unheard = False
        return told


@dataclass(frozen=True, eq=False, kw_only=True)
class Setup:
    """What all networks of one training learn, and from what.

    Parameters
    ----------
    images, old : sequence of AnnotatedImage
        What is annotated, with nothing in it that must not decide anything; and what is only
        trained on.
    config : TrainingConfig
        Of the whole training.
    classes : tuple of ClassLabel
        The outputs.
    goes_on : bool
        Whether the last layer of the model that is gone on from goes on, too.
    pixel_size : float or None
        Micrometres per pixel for which the scale holds.
    scale : float
        The working scale.
    standardisation : Standardisation or None
        In which units values are learnt.
    class_names : mapping
        By painted value.
    device : torch.device
        Where to compute.
    should_stop : callable
        Whether somebody has asked for the end.
    painting : Painting
        What is painted meanwhile.
    contrast : mapping
        The least of all images, for the model to remember.
    """

    images: Sequence[AnnotatedImage]
    old: Sequence[AnnotatedImage]
    config: TrainingConfig
    classes: tuple[ClassLabel, ...]
    goes_on: bool
    pixel_size: float | None
    scale: float
    standardisation: Standardisation | None
    class_names: dict[int, str]
    device: torch.device
    should_stop: Callable[[], bool]
    painting: Painting
    contrast: Mapping[str, Any]

    def gap(self, image: AnnotatedImage) -> int:
        """Return how far apart training and validation stay, in pixels of an image."""
        context = self.config.geometry.context
        return gap_in_pixels(context, self.scale, image.pixel_size, self.pixel_size)

    def model(self, network: Network) -> TrainedModel:
        """Return a network as a model whose cutting is not tuned yet."""
        cells = self.config.task == "instances"
        return TrainedModel(
            network=network,
            task=self.config.task,
            classes=self.classes,
            scale=self.scale,
            pixel_size=self.pixel_size,
            instances=as_mapping(usual_options(self.scale)) if cells else {},
            standardisation=self.standardisation,
            configuration=self.config.to_dict(),
        )


def taken(image: AnnotatedImage, config: TrainingConfig) -> AnnotatedImage:
    """Return an image with nothing in it that must not decide anything."""
    image = counted_only(image)
    return image if config.use_pixel_size else replace(image, pixel_size=None)


@dataclass(frozen=True, eq=False)
class Division:
    """What one network of a training learns from, and what is kept back from it.

    Parameters
    ----------
    turn : int
        Which network of the training it is, from 0; each keeps back another part.
    training_images, validation_images : sequence of AnnotatedImage
        An image of which a part is kept back is in both, each with its part of the annotation.
    """

    turn: int
    training_images: Sequence[AnnotatedImage]
    validation_images: Sequence[AnnotatedImage]

    @classmethod
    def of(cls, setup: Setup, turn: int) -> Division:
        """Divide what is annotated for a network."""
        config = setup.config
        training, validation = split(
            setup.images,
            fraction=config.validation,
            gap=max(setup.gap(image) for image in setup.images),
            rng=np.random.default_rng(config.seed),
            task=config.task,
            turn=turn / config.networks,
        )
        return cls(turn, training, validation)

    @property
    def kept_whole(self) -> list[str]:
        """Names of the images of which nothing is trained on."""
        taught = {image.name for image in self.training_images}
        return [image.name for image in self.validation_images if image.name not in taught]
