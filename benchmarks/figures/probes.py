"""What is measured of a trained network besides its scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_unet.network import build_network
from napari_unet.prediction import measure_range, mirrored, predict, resize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from benchmarks.figures.images import Truth
    from napari_unet.network import Network, TrainedModel

__all__ = ["PROBES", "border_errors", "period_two", "period_two_share", "predict_in_zeros"]

RINGS = (92, 16)  # pixels; 92 is what the valid network of 2015 loses on each side
_SIDE = 384  # of the middle of an image whose logits are looked at
_NEAR = 1 / 32  # cycles per pixel: how slowly a pattern of period 2 may come and go


def border_errors(model: TrainedModel, tests: Sequence[Truth]) -> dict[str, float]:
    """Return the share of wrong pixels near the border, by what the network was shown beyond it.

    A pixel is wrong where "background or not" is wrong, whatever the task.
    """
    wrong: dict[str, list[NDArray[np.bool_]]] = {"mirrored": [], "zero": []}
    for test in tests:
        for name, found in (
            ("mirrored", predict(model, test.image, device="cpu")),
            ("zero", predict_in_zeros(model, test.image)),
        ):
            wrong[name].extend((found[:, 0] < 0.5) != (test.labels > 0))
    return {
        f"border_{ring}_{name}": float(np.concatenate([_ring(w, ring) for w in planes]).mean())
        for ring in RINGS
        for name, planes in wrong.items()
    }


def predict_in_zeros(model: TrainedModel, image: NDArray[Any]) -> NDArray[np.float32]:
    """Predict a stack (Z, C, Y, X) as if it lay in zeros, not between mirrors.

    Zero is what the network sees, after the intensities were brought to their range. The rim is a
    whole number of the network's strides, so that its poolings fall on the same pixels.

    Returns
    -------
    (Z, outputs, Y, X) float32 array
    """
    ranged = measure_range(image, model.normalisation)
    rim = _rim(model)
    padded = np.empty((*image.shape[:2], *(n + 2 * rim for n in image.shape[2:])), np.float64)
    padded[:] = ranged.low[:, None, None]
    padded[..., rim:-rim, rim:-rim] = image
    return predict(model, padded, device="cpu", normalisation=ranged)[..., rim:-rim, rim:-rim]


def _rim(model: TrainedModel) -> int:
    """Return how wide zeros must be for the network to see nothing else beyond the image."""
    if model.scale != 1:
        raise ValueError(
            f"the model works at the scale {model.scale:.3g}; zeros around an image are only "
            "exact at 1"
        )
    return model.network.geometry.context


def _ring(plane: NDArray[Any], width: int) -> NDArray[Any]:
    inside = np.zeros(plane.shape, bool)
    inside[width:-width, width:-width] = True
    ring: NDArray[Any] = plane[~inside]
    return ring


def period_two(model: TrainedModel, tests: Sequence[Truth]) -> dict[str, float]:
    """Return how much of the logits is a pattern of period 2, before and after the training.

    The untrained network has the weights that the training began with.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(model.configuration["seed"]))
        fresh = build_network(model.architecture)
    return {
        "period_two_untrained": _mean_share(fresh.eval(), model, tests),
        "period_two": _mean_share(model.network, model, tests),
    }


def _mean_share(network: Network, model: TrainedModel, tests: Sequence[Truth]) -> float:
    return float(np.mean([period_two_share(_logit(network, model, t.image)) for t in tests]))


@torch.no_grad()
def _logit(network: Network, model: TrainedModel, image: NDArray[Any]) -> NDArray[np.float64]:
    """Return the logit of the last class against the background in the middle of an image."""
    scaled = measure_range(image, model.normalisation).apply(image[0])
    shape = tuple(max(1, round(n * model.scale)) for n in scaled.shape[1:])
    scaled = resize(scaled, (shape[0], shape[1]))
    size = network.geometry.input_size_at_least(_SIDE)
    start = tuple((n - size) // 2 for n in shape)
    tile = mirrored(scaled, (start[0], start[1]), (size, size))
    logits = network(torch.from_numpy(np.ascontiguousarray(tile))[None])[0].double().numpy()
    difference: NDArray[np.float64] = logits[-1] - logits[0]
    return difference


def period_two_share(plane: NDArray[np.floating]) -> float:
    """Return the share of a plane's energy in patterns that repeat every two pixels.

    A strided up-convolution writes even and odd pixels with different weights: stripes and
    checkerboards of period 2 (Odena et al. 2016). In the spectrum they lie around half a cycle
    per pixel, in y, in x or in both. The mean is taken away first, and a Hann window keeps the
    borders, where the plane does not continue periodically, from looking like such patterns.

    Parameters
    ----------
    plane : (Y, X) array

    Returns
    -------
    float
        Between 0 (none, or a constant plane) and 1.
    """
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in plane.shape))
    centred = (plane - np.average(plane, weights=window)) * window
    energy = np.abs(np.fft.fft2(centred)) ** 2
    if energy.sum() <= 1e-20 * plane.size**2 * max(float(np.square(plane).max()), 1e-300):
        return 0.0
    y, x = (np.abs(np.fft.fftfreq(n)) for n in plane.shape)
    slow_y, slow_x = (y <= _NEAR)[:, None], (x <= _NEAR)[None, :]
    fast_y, fast_x = (y >= 0.5 - _NEAR)[:, None], (x >= 0.5 - _NEAR)[None, :]
    patterns = (fast_y & slow_x) | (slow_y & fast_x) | (fast_y & fast_x)
    return float(energy[patterns].sum() / energy.sum())


PROBES: Mapping[str, Callable[[TrainedModel, Sequence[Truth]], dict[str, float]]] = {
    "border": border_errors,
    "period_two": period_two,
}
