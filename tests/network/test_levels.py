"""The table of a network's levels, against the paper and against real networks."""

from __future__ import annotations

import pytest
import torch

from napari_unet.network import LEVEL_HEAD, Geometry, Network, UNet, level_rows
from napari_unet.network.steps import Step, receptive_field

CONFIGURATIONS = [
    (depth, padding, up)
    for depth in range(7)
    for padding in ("valid", "same")
    for up in ("transposed", "upsample")
]


def test_the_levels_of_the_paper():
    levels = Geometry().levels(572)
    down, up = levels[:5], levels[5:]
    assert [level.receptive_field for level in down] == [5, 14, 32, 68, 140]
    assert [level.stride for level in down] == [1, 2, 4, 8, 16]
    assert [level.sizes for level in down][::4] == [(572, 570, 568), (32, 30, 28)]
    assert [level.channels for level in down] == [64, 128, 256, 512, 1024]
    assert [(level.skip, level.sizes[0]) for level in up] == [
        (64, 56),
        (136, 104),
        (280, 200),
        (568, 392),
    ]
    assert up[-1].sizes == (392, 390, 388)
    assert [level.number for level in levels] == [1, 2, 3, 4, 5, 4, 3, 2, 1]


def _blocks(network: UNet) -> list[torch.nn.Module]:
    return [*network.contracting, *network.expanding]


@pytest.mark.parametrize(("depth", "padding", "up"), CONFIGURATIONS)
def test_maps_and_channels_are_those_of_the_real_network(depth, padding, up):
    network = UNet(depth=depth, width=2, padding=padding, up=up).eval()
    size = network.geometry.input_size_for(20)
    found = []

    for block in _blocks(network):
        block.register_forward_pre_hook(lambda _m, given: found.append([given[0].shape[-1]]))
        for convolution in (block[0], block[2]):
            convolution.register_forward_hook(lambda _m, _i, out: found[-1].append(out.shape[-1]))
        block.register_forward_hook(lambda _m, _i, out: found[-1].append(out.shape[1]))
    with torch.no_grad():
        network(torch.zeros(1, 1, size, size))
    levels = network.levels(size)
    assert [[*level.sizes, level.channels] for level in levels] == found
    down = {level.number: level.sizes[-1] for level in levels if level.path == "contracting"}
    for level in levels:
        assert level.skip == (None if level.path == "contracting" else down[level.number])


def _linear_twin(depth: int, padding: str, up: str) -> UNet:
    """Return a network in which no ReLU and no maximum hides a path."""
    network = UNet(depth=depth, width=1, padding=padding, up=up, dropout=0.0).double().eval()
    network.pool = torch.nn.AvgPool2d(2)
    for module in network.modules():
        if hasattr(module, "weight"):
            torch.nn.init.ones_(module.weight)
    return network


@pytest.mark.parametrize(
    ("depth", "padding", "up"),
    [c for c in CONFIGURATIONS if c[0] < 5],  # deeper ones take minutes
)
def test_receptive_fields_are_those_of_the_real_network(depth, padding, up):
    network = _linear_twin(depth, padding, up)
    geometry = network.geometry
    maps = []
    for block in _blocks(network):
        block.register_forward_hook(lambda _m, _i, out: maps.append(out))
    long, short = geometry.input_size_for(3 * geometry.context), geometry.input_size_for(1)
    image = torch.ones(1, 1, long, short, dtype=torch.float64, requires_grad=True)
    network(image)
    for level, values in zip(network.levels(long), maps, strict=True):
        middle = values.shape[-2] // 2
        sides = []
        for position in range(middle, middle + geometry.stride // level.stride):
            [gradient] = torch.autograd.grad(values[0, :, position].sum(), image, retain_graph=True)
            rows = gradient[0, 0].abs().sum(dim=1).nonzero()
            sides.append(int(rows.max() - rows.min()) + 1)
        assert level.receptive_field == max(sides)


def test_neighbouring_values_lie_one_stride_apart():
    image = torch.rand(1, 1, 64, 64)
    network = UNet(depth=2, width=2, padding="same", dropout=0.0).eval()
    maps = []
    network.contracting[2].register_forward_hook(lambda _m, _i, out: maps.append(out))
    stride = network.levels(64)[2].stride
    with torch.no_grad():
        network(image)
        network(image.roll(-stride, dims=-1))
    assert torch.allclose(maps[0][..., 6:10], maps[1][..., 5:9], atol=1e-5)


def test_a_wrong_size_is_refused_by_every_network():
    with pytest.raises(ValueError, match="573 pixels cannot be pooled"):
        UNet(width=1).levels(573)


def test_a_network_that_knows_no_levels_has_an_empty_table():
    network = Network()
    network.geometry = Geometry()
    assert network.levels(572) == ()


def test_a_table_without_skips_shows_none():
    assert {level.skip for level in UNet(width=1, skips="none").levels(572)} == {None}


def test_rows_are_what_a_person_reads():
    rows = level_rows(Geometry().levels(572))
    assert all(len(row) == len(LEVEL_HEAD) for row in rows)
    assert rows[0] == ("contracting", "1", "572 → 570 → 568", "", "64", "5 px", "1 px")
    assert rows[6][:4] == ("expanding", "3", "104 → 102 → 100", "136 → 104")


def test_a_chain_of_steps_sees_what_its_layers_see():
    convolution = Step(kernel=3)
    assert receptive_field([convolution, convolution]) == 5
    assert receptive_field([convolution, Step(kernel=2, stride=2), convolution]) == 8
    assert convolution.size(572) == 570
    assert Step(factor=2).size(28) == 56
    assert Step(factor=2, kernel=2).size(28) == 55
    assert Step(kernel=3, padding=1).size(9) == 9
