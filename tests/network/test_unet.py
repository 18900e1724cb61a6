"""The network of the paper, and what makes it so."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from napari_unet.network import UNet, activate
from napari_unet.network.initialisation import initialise
from napari_unet.network.unet import DoubleConvolution


@pytest.mark.parametrize("up", ["transposed", "upsample"])
def test_the_number_of_parameters_is_that_of_the_paper(up):
    network = UNet(up=up)
    assert sum(p.numel() for p in network.parameters()) == 31_030_658


def test_the_shapes_on_the_way_are_those_of_figure_1():
    network = UNet().eval()
    shapes = []
    for block in [*network.contracting, *network.expanding]:
        block.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))
    with torch.no_grad():
        network(torch.zeros(1, 1, 572, 572))
    assert shapes == [
        (64, 568, 568),
        (128, 280, 280),
        (256, 136, 136),
        (512, 64, 64),
        (1024, 28, 28),
        (512, 52, 52),
        (256, 100, 100),
        (128, 196, 196),
        (64, 388, 388),
    ]


def test_the_skip_comes_first_and_is_cropped_from_the_centre():
    network = UNet(depth=1, width=1, dropout=0.0).eval()
    seen = []
    network.contracting[0].register_forward_hook(lambda _m, _i, out: seen.append(out))
    network.expanding[0].register_forward_hook(lambda _m, i, _o: seen.append(i[0]))
    network(torch.rand(1, 1, 24, 24))
    skip, joined = seen
    lost = (skip.shape[-1] - joined.shape[-1]) // 2
    assert torch.equal(joined[:, :1], skip[..., lost:-lost, lost:-lost])


def test_he_initialisation_has_the_deviation_of_the_paper():
    network = UNet(width=32)
    convolution = network.contracting[2][2]
    transposed = network.up_convolutions[0]
    assert convolution.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 128)), rel=0.02)
    assert transposed.weight.std().item() == pytest.approx(math.sqrt(2 / 512), rel=0.02)
    assert not convolution.bias.any()


CHOICES = [
    {"skips": skips, "padding": padding, "up": up}
    for skips in ("concat", "add", "none")
    for padding in ("valid", "same")
    for up in ("transposed", "upsample")
]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: "-".join(choice.values()))
@pytest.mark.parametrize("depth", [0, 2])
def test_every_choice_returns_the_size_that_the_arithmetic_says(choice, depth):
    network = UNet(2, 3, depth=depth, width=1, **choice).eval()
    geometry = network.geometry
    size = geometry.input_size_for(2)
    with torch.no_grad():
        out = network(torch.zeros(1, 2, size, size))
    assert out.shape == (1, 3, geometry.output_size(size), geometry.output_size(size))


def test_six_poolings_are_possible():
    network = UNet(depth=6, width=1, padding="same").eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 128, 64)).shape == (1, 2, 128, 64)


def _two_maps(skips):
    """Return the skip, the up-convolved map and what the expanding block is given."""
    network = UNet(depth=1, width=2, skips=skips, dropout=0.0).eval()
    seen = []
    network.contracting[0].register_forward_hook(lambda _m, _i, out: seen.append(out))
    network.up_convolutions[0].register_forward_hook(lambda _m, _i, out: seen.append(out))
    network.expanding[0].register_forward_hook(lambda _m, i, _o: seen.append(i[0]))
    with torch.no_grad():
        network(torch.rand(1, 1, 24, 24))
    skip, up, joined = seen
    lost = (skip.shape[-1] - up.shape[-1]) // 2
    return skip[..., lost:-lost, lost:-lost], up, joined


def test_a_skip_is_joined_added_or_left_out():
    skip, up, joined = _two_maps("concat")
    assert torch.equal(joined, torch.cat([skip, up], dim=1))
    skip, up, joined = _two_maps("add")
    assert torch.equal(joined, skip + up)
    skip, up, joined = _two_maps("none")
    assert torch.equal(joined, up)


def test_without_skips_the_fine_maps_decide_nothing_but_through_the_bottom():
    network = UNet(depth=1, width=2, skips="none", dropout=0.0).eval()
    network.contracting[1].register_forward_hook(lambda _m, _i, out: torch.zeros_like(out))
    with torch.no_grad():
        first, second = (network(torch.rand(1, 1, 24, 24)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("normalisation", "axes"),
    [("batch", (0, 2, 3)), ("instance", (2, 3)), ("group", (2, 3, "within the group"))],
)
def test_a_normalisation_is_taken_over_its_axes(normalisation, axes):
    network = UNet(depth=0, width=16, normalisation=normalisation).train()
    seen = []
    network.contracting[0][1].register_forward_hook(lambda _m, i, o: seen.extend((i[0], o.clone())))
    network(torch.rand(3, 1, 20, 20))
    given, result = seen
    shape = given.shape
    if normalisation == "group":
        given, axes = given.reshape(3, 8, 2, *shape[2:]), (2, 3, 4)
    mean = given.mean(dim=axes, keepdim=True)
    deviation = given.var(dim=axes, keepdim=True, unbiased=False).add(1e-5).sqrt()
    assert torch.allclose(result, ((given - mean) / deviation).reshape(shape), atol=1e-4)


def test_channels_that_eight_does_not_divide_have_fewer_groups():
    assert UNet(depth=0, width=6, normalisation="group").contracting[0][1].num_groups == 2


def _gains(init, **choice):
    """Return, for each 3x3 convolution and its ReLU, the mean square behind over that before."""
    torch.manual_seed(0)
    network = UNet(depth=4, width=16, dropout=0.0, init=init, **choice).eval()
    gains = []
    for block in [*network.contracting, *network.expanding]:
        for convolution in (block[0], block[2]):
            convolution.register_forward_hook(
                lambda _m, i, out: gains.append(
                    out.relu().square().mean().item() / i[0].square().mean().item()
                )
            )
    with torch.no_grad():
        network(torch.randn(1, 1, 252, 252))
    return gains


@pytest.mark.parametrize("skips", ["concat", "add", "none"])
def test_he_weights_keep_signals_alive_through_all_levels_and_xavier_weights_do_not(skips):
    he, xavier = (_gains(init, skips=skips) for init in ("he", "xavier"))
    assert len(he) == 18
    assert all(0.5 < gain < 2 for gain in he)
    assert math.prod(he) ** (1 / 18) == pytest.approx(1, abs=0.15)
    assert math.prod(xavier) < 1e-5


def test_the_variance_of_activations_stays_in_a_deep_stack_with_he_and_falls_with_xavier():
    variances = {}
    for init in ("he", "xavier"):
        torch.manual_seed(0)
        x = torch.randn(1, 32, 96, 96)
        blocks = [DoubleConvolution(32, 32, "valid", "none") for _ in range(10)]
        variances[init] = []
        for block in blocks:
            initialise(block, init)
            with torch.no_grad():
                x = block(x)
            variances[init].append(x.var().item())
    he, xavier = variances["he"], variances["xavier"]
    assert max(he) < 4 * min(he)
    assert all(later < 0.5 * earlier for earlier, later in itertools.pairwise(xavier))


@pytest.mark.parametrize("layer", [nn.Conv2d(40, 60, 3), nn.ConvTranspose2d(40, 60, 2, stride=2)])
def test_xavier_initialisation_counts_inputs_and_outputs(layer):
    initialise(layer, "xavier")
    fans = (360, 540) if isinstance(layer, nn.Conv2d) else (40, 240)
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / sum(fans)), rel=0.03)


def test_the_network_returns_logits_and_probabilities_sum_to_one():
    network = UNet(2, 3, depth=2, width=4, padding="same").eval()
    image = torch.randn(2, 2, 32, 32)
    probabilities = activate(network(image), "classes")
    assert probabilities.shape == (2, 3, 32, 32)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(2, 32, 32), atol=1e-5)
    assert torch.allclose(probabilities, network(image).softmax(dim=1))


def test_a_size_that_cannot_be_pooled_is_refused_by_name():
    with pytest.raises(ValueError, match="nearest sizes that work are 16 and 32"):
        UNet(width=1, padding="same")(torch.zeros(1, 1, 17, 32))


IMPOSSIBLE = [
    {"depth": 7},
    {"width": 0},
    {"in_channels": 0},
    {"skips": "residual"},
    {"normalisation": "layer"},
    {"init": "zeros"},
]


@pytest.mark.parametrize("values", IMPOSSIBLE)
def test_impossible_architectures_are_refused(values):
    name = next(iter(values))
    with pytest.raises(ValueError, match=f"{name} is {values[name]!r}"):
        UNet(**values)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("up", ["transposed", "upsample"])
@pytest.mark.parametrize("skips", ["concat", "add", "none"])
@pytest.mark.parametrize("normalisation", ["none", "batch", "group", "instance"])
def test_a_part_is_cut_out_of_the_whole(padding, up, skips, normalisation):
    torch.manual_seed(0)
    network = UNet(
        width=2, depth=3, padding=padding, up=up, skips=skips, normalisation=normalisation
    )
    size = network.geometry.input_size_at_least(120)
    image = torch.randn(2, 1, size, size)
    for _ in range(2):
        network.train()(image)
    network.eval()
    out = network.geometry.output_size(size)
    with torch.no_grad():
        whole = network(image)
        for y, x in (((0, out), (0, 5)), ((7, 8), (3, out - 2)), ((out - 9, out), (20, 24))):
            keep = (slice(*y), slice(*x))
            assert torch.allclose(network.part(image, keep), whole[(..., *keep)], atol=1e-5)


@pytest.mark.parametrize("skips", ["concat", "add", "none"])
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_strips_of_a_large_map_are_the_map(skips, depth, layout):
    torch.manual_seed(0)
    network = UNet(width=2, depth=depth, padding="same", skips=skips, normalisation="batch")
    network.train()(torch.randn(2, 1, 64, 64))
    network.eval()
    image = torch.randn(2, 1, 600, 40).contiguous(memory_format=layout)
    heights = []
    network.contracting[0].register_forward_hook(lambda _m, _i, out: heights.append(out.shape[-2]))
    with torch.no_grad():
        whole = network(image)
        for rows in (slice(0, 600), slice(13, 587), slice(301, 302)):
            part = network.part(image, (rows, slice(3, 40)))
            torch.testing.assert_close(part, whole[..., rows, 3:], rtol=1e-5, atol=1e-5)
    assert depth == 0 or max(heights[1:]) < 200


def test_a_part_costs_less_than_the_whole():
    network = UNet(width=1, padding="same").eval()
    sizes = []
    network.expanding[-1].register_forward_hook(lambda _m, _i, out: sizes.append(out.shape[-2:]))
    network.part(torch.zeros(1, 1, 256, 256), (slice(96, 160), slice(0, 64)))
    assert sizes == [(68, 66)]


def test_wide_networks_get_smaller_tiles():
    small, wide = (UNet(width=width, depth=1).usual_tile for width in (32, 64))
    assert small > wide
