"""The network of the paper, and what makes it so."""

from __future__ import annotations

import math

import pytest
import torch

from napari_unet.network import UNet, activate


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


@pytest.mark.parametrize("values", [{"depth": 7}, {"width": 0}, {"in_channels": 0}])
def test_impossible_architectures_are_refused(values):
    name = next(iter(values))
    with pytest.raises(ValueError, match=f"{name} is {values[name]}"):
        UNet(**values)
