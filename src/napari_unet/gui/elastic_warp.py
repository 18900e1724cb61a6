"""The Elastic warp dock: what the augmentation does to a picture, before it does it in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QSpinBox

from napari_unet.augmentation import AugmentationConfig
from napari_unet.gui import layers
from napari_unet.gui.dock import Dock, add_field, button, fields, row, words
from napari_unet.gui.form import OptionsForm
from napari_unet.gui.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_unet.gui.jobs import ShouldStop
    from napari_unet.gui.layers import ImageStack

__all__ = ["ElasticWarpDock"]

IMAGE, LABELS, GRID = (f"{layers.WARPED} {what}" for what in ("image", "labels", "grid"))
_COMPUTING = "Computing the warp…"
_DEBOUNCE_MS = 120
_SEEDS = 100_000


@dataclass(frozen=True, eq=False)
class _Request:
    """What one warp is made of, safe in a worker thread, which reads the image."""

    images: tuple[Image, ...]
    channels: tuple[Image, ...]
    z: int
    image: ImageStack
    labels: NDArray[Any] | None
    config: AugmentationConfig
    seed: int


@dataclass(frozen=True, eq=False)
class _Warped:
    """The warped channels (C, Y, X), labels and grid (Y, X) of a request."""

    request: _Request
    pixels: NDArray[Any]
    labels: NDArray[Any] | None
    grid: NDArray[Any]


def _compute(request: _Request, should_stop: ShouldStop) -> Iterator[_Warped]:
    """Warp image, labels and a straight grid by one displacement."""
    from napari_unet.augmentation import draw_displacement, warp

    pixels = request.image[request.z]
    shape = pixels.shape[-2:]
    rng = np.random.default_rng(request.seed)
    config = request.config
    displacement = draw_displacement(shape, grid=config.grid, sigma=config.elastic_sigma, rng=rng)
    if should_stop():
        return
    warped = warp(pixels.astype(np.float32), displacement, order=1)
    if should_stop():
        return
    yield _Warped(
        request=request,
        pixels=warped,
        labels=None if request.labels is None else warp(request.labels, displacement, order=0),
        grid=warp(_straight_grid(shape), displacement, order=1),
    )


def _straight_grid(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw about 16 lines along the shorter side, as wide as can be seen on the screen."""
    spacing = max(4, min(shape) // 16)
    width = max(1, min(shape) // 400)
    lines = np.zeros(shape, np.float32)
    for at in range(width):
        lines[at::spacing] = 1
        lines[:, at::spacing] = 1
    return lines


class ElasticWarpDock(Dock):
    """Draw a random warp and show the warped image, its labels and the bent grid.

    Parameters
    ----------
    napari_viewer
        A napari viewer.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._job = Job(self, name="elastic warp")
        self._stale = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DEBOUNCE_MS)
        self._timer.timeout.connect(self._refresh)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.column.addWidget(
            words(
                "Training bends every picture at random like soft tissue, so that few painted "
                "cells teach many shapes. Cells should still look like cells."
            )
        )
        names = ("elastic_sigma", "grid")
        self._form = OptionsForm(AugmentationConfig(), names=names, plain=names)
        self.column.addWidget(self._form)
        self._seed = QSpinBox()
        self._seed.setRange(0, _SEEDS - 1)
        self._seed.setKeyboardTracking(False)
        self._seed.setToolTip(
            "<qt>The number that the warp is drawn from; the same number draws the same warp.</qt>"
        )
        form = fields()
        add_field(form, "Seed", self._seed)
        self.column.addLayout(form)
        self._show_grid = QCheckBox("Grid")
        self._show_grid.setToolTip("<qt>Show how straight lines would be bent.</qt>")
        self._show_grid.setChecked(True)
        self.column.addWidget(self._show_grid)
        draw = button(
            "Draw a new warp",
            "Draw another random warp and show it over the current slice (Ctrl+Return).",
            self._on_draw,
        )
        self.bind_key("Ctrl+Return", draw)
        self._remove = button(
            "Remove preview", "Take the warped layers away, or stop drawing them.", self._on_remove
        )
        self.column.addLayout(row(draw, self._remove))
        self.finish()

    def _connect(self) -> None:
        self._form.changed.connect(self._on_setting)
        self._seed.valueChanged.connect(self._on_setting)
        self._show_grid.toggled.connect(self._on_setting)
        self.session.layers_changed.connect(self._on_layers)
        self._job.reported.connect(self._on_warped)
        self._job.failed.connect(self.warn)
        self._job.finished.connect(self._on_finished)
        self._job.started.connect(self._on_layers)
        self.say_while(self._job, _COMPUTING)
        self._on_layers()

    # ---------------------------------------------------------------------------- the controls

    def _on_draw(self) -> None:
        self.say("")
        self._seed.blockSignals(True)
        self._seed.setValue((self._seed.value() + 1) % _SEEDS)
        self._seed.blockSignals(False)
        self._refresh()

    def _on_setting(self) -> None:
        if self._shown():
            self._timer.start()

    def _on_remove(self) -> None:
        self.say("")
        self._timer.stop()
        self._stale = False
        self._job.stop()
        layers.remove_warp(self.session.viewer)
        self._on_layers()

    def _on_layers(self) -> None:
        computing = self._job.running and not self._job.stopping
        self._remove.setEnabled(computing or self._shown())

    def _shown(self) -> bool:
        session = self.session
        return layers.find(session.viewer, f"{IMAGE} 0", session.image_layers) is not None

    # ----------------------------------------------------------------------------- the preview

    def _refresh(self) -> None:
        if self._job.running:
            self._stale = True
            if self._job.stopping:  # what was removed comes to an end first
                self.say(_COMPUTING)
            return
        try:
            request = self._request()
        except ValueError as error:
            self.warn(str(error))
            return
        self._job.start(lambda should_stop: _compute(request, should_stop))

    def _request(self) -> _Request:
        session = self.session
        layer = session.labels_layer
        z = session.current_slice
        fits = layer is not None and layers.fits(layer, session.image_layers[0])
        return _Request(
            images=session.image_layers,
            channels=session.channels,
            z=z,
            image=session.image_stack(),
            labels=layers.read_labels_slice(layer, z) if layer is not None and fits else None,
            config=self._form.value(),
            seed=self._seed.value(),
        )

    def _on_warped(self, warped: _Warped) -> None:
        request, session = warped.request, self.session
        if self._job.stopping or request.images != session.image_layers:
            return
        z = request.z if session.slice_count > 1 else None
        self._put_channels(warped, z)
        if warped.labels is not None:
            layers.put_labels(
                session.viewer,
                request.images,
                warped.labels,
                role=LABELS,
                name=f"{session.name} labels warped",
                z=z,
            )
        self._put_grid(warped, z)
        self._on_layers()
        self.say(
            f"Warp with seed {request.seed}, over the image; hide its layers to see what was "
            "there. In training every patch gets its own."
        )

    def _put_channels(self, warped: _Warped, z: int | None) -> None:
        images, channels = warped.request.images, warped.request.channels
        looks = layers.channel_looks(channels)
        for c, (name, look) in enumerate(zip(layers.channel_names(channels), looks, strict=True)):
            layers.put_image(
                self.session.viewer,
                images,
                warped.pixels[c],
                role=f"{IMAGE} {c}",
                name=f"{name} warped",
                z=z,
                **look,
            )

    def _put_grid(self, warped: _Warped, z: int | None) -> None:
        if not self._show_grid.isChecked():
            layers.remove_roles(self.session.viewer, [GRID])
            return
        layers.put_image(
            self.session.viewer,
            warped.request.images,
            warped.grid,
            role=GRID,
            name=f"{self.session.name} warp grid",
            z=z,
            colormap="cyan",
            blending="additive",
            opacity=0.6,
            contrast_limits=(0, 1),
        )

    def _on_finished(self) -> None:
        self._on_layers()
        if self._stale:
            self._stale = False
            self._timer.start()
