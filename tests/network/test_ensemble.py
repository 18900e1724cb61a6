"""An ensemble: the mean of what its networks say, in files and tiles as one of them."""

from __future__ import annotations

import pytest
import torch

from napari_unet.network import Ensemble, UNet, build_network, geometry_of


def _networks(number=3, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return [
            UNet(1, 2, depth=1, width=4, padding="same", **options).eval() for _ in range(number)
        ]


def test_probabilities_are_the_mean_of_those_of_each():
    networks, image = _networks(), torch.rand(2, 1, 8, 8)
    expected = sum(network(image).softmax(dim=1) for network in networks) / 3
    torch.testing.assert_close(Ensemble(networks)(image).softmax(dim=1), expected)


def test_values_are_the_mean_of_those_of_each():
    networks, image = _networks(), torch.rand(2, 1, 8, 8)
    expected = sum(network(image) for network in networks) / 3
    torch.testing.assert_close(Ensemble(networks, average="values")(image), expected)


def test_a_part_is_cut_out_of_the_whole():
    ensemble, image = Ensemble(_networks()), torch.rand(1, 1, 32, 32)
    keep = (slice(3, 20), slice(8, 30))
    expected = ensemble(image)[(..., *keep)]
    torch.testing.assert_close(ensemble.part(image, keep), expected, rtol=1e-5, atol=1e-5)


def test_it_is_built_again_from_its_architecture():
    ensemble = Ensemble(_networks(), average="values")
    again = build_network(ensemble.architecture)
    assert again.architecture == ensemble.architecture
    assert geometry_of(ensemble.architecture) == again.geometry == ensemble.networks[0].geometry
    again.load_state_dict(ensemble.state_dict())
    image = torch.rand(1, 1, 8, 8)
    assert torch.equal(again.eval()(image), ensemble(image))
    assert again.usual_tile == ensemble.networks[0].usual_tile
    assert again.levels(16) == ensemble.networks[0].levels(16)


def test_every_last_layer_is_named():
    ensemble = Ensemble(_networks(2))
    layers = [ensemble.get_submodule(name) for name in ensemble.last_layers]
    assert layers == [network.classify for network in ensemble.networks]


def test_networks_of_different_architectures_have_no_mean():
    with pytest.raises(ValueError, match="same architecture"):
        Ensemble([*_networks(1), *_networks(1, skips="add")])


@pytest.mark.parametrize("number", [1, 11])
def test_too_few_or_too_many_are_refused(number):
    with pytest.raises(ValueError, match=f"2 to 10 networks, not {number}"):
        Ensemble(_networks(1) * number)


def test_a_mean_of_something_else_is_refused():
    with pytest.raises(ValueError, match="choose probabilities, values"):
        Ensemble(_networks(2), average="labels")


def test_a_description_cannot_ask_for_networks_without_end():
    architecture = Ensemble(_networks(2)).architecture
    with pytest.raises(ValueError, match="2 to 10 networks"):
        build_network({**architecture, "members": 10**9})
    with pytest.raises(ValueError, match="cannot be an ensemble itself"):
        build_network({**architecture, "each": architecture})
