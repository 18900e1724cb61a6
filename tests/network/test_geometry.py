"""Tile arithmetic, against the figures of the paper and against real networks."""

from __future__ import annotations

import pytest
import torch

from napari_unet.network import Geometry, UNet, context, output_size, valid_input_sizes

CONFIGURATIONS = [
    (depth, padding, up)
    for depth in range(4)
    for padding in ("valid", "same")
    for up in ("transposed", "upsample")
]


def test_the_tile_of_the_paper():
    assert output_size(572) == 388
    assert Geometry().offset(572) == 92


def test_an_odd_pooling_is_refused_with_the_nearest_sizes():
    with pytest.raises(ValueError, match="572 and 588"):
        output_size(573)
    with pytest.raises(ValueError, match="nearest sizes that work are 188"):
        output_size(3)


def test_valid_input_sizes_are_exactly_those_that_are_not_refused():
    sizes = valid_input_sizes(1, 300)
    assert sizes == (188, 204, 220, 236, 252, 268, 284)
    for size in set(range(1, 300)) - set(sizes):
        with pytest.raises(ValueError, match="cannot be pooled"):
            output_size(size)


@pytest.mark.parametrize(("depth", "padding", "up"), CONFIGURATIONS)
def test_the_network_returns_what_the_arithmetic_says(depth, padding, up):
    geometry = Geometry(depth, padding, up)
    network = UNet(depth=depth, width=2, padding=padding, up=up).eval()
    for size in (geometry.input_size_for(1), geometry.input_size_for(30)):
        result = network(torch.zeros(1, 1, size, size))
        assert result.shape[-2:] == (geometry.output_size(size),) * 2


def _seen(depth: int, padding: str, up: str) -> tuple[Geometry, list[tuple[int, int, int]]]:
    """Return, per output position, its place in the input and the range of input it sees.

    Measured by gradients through a linear twin of the network, so that no ReLU hides a path.
    """
    geometry = Geometry(depth, padding, up)
    network = UNet(depth=depth, width=1, padding=padding, up=up, dropout=0.0).double().eval()
    network.pool = torch.nn.AvgPool2d(2)
    for module in network.modules():
        if hasattr(module, "weight"):
            torch.nn.init.ones_(module.weight)
    size = geometry.input_size_for(4 * geometry.context)
    image = torch.ones(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    out = network(image)
    middle = out.shape[-1] // 2
    found = []
    for position in range(middle, middle + geometry.stride):
        image.grad = None
        out[0, 0, position, position].backward(retain_graph=True)
        rows = image.grad[0, 0].abs().sum(dim=1).nonzero().ravel()
        found.append((position + geometry.offset(size), int(rows.min()), int(rows.max())))
    return geometry, found


@pytest.mark.parametrize(("depth", "padding", "up"), [c for c in CONFIGURATIONS if c[0] < 3])
def test_context_covers_the_receptive_field_of_the_real_network(depth, padding, up):
    geometry, found = _seen(depth, padding, up)
    farthest = max(max(at - first, last - at) for at, first, last in found)
    assert farthest <= geometry.context
    assert geometry.context - farthest < 2 * geometry.stride, "not wastefully more"


@pytest.mark.parametrize("up", ["transposed", "upsample"])
def test_the_output_lies_in_the_middle_of_what_it_sees(up):
    _, found = _seen(2, "valid", up)
    shifts = [(at - first) - (last - at) for at, first, last in found]
    assert abs(sum(shifts) / len(shifts)) <= 1, "no drift between skip and decoder"


def test_context_at_the_depth_of_the_paper():
    assert context(4) == 112
