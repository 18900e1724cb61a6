import pytest
import torch

from napari_unet.network import Geometry, UNet, activate, build_network, geometry_of


def test_a_network_is_built_again_from_its_architecture():
    network = UNet(2, 3, depth=1, width=4, padding="same")
    again = build_network(network.architecture)
    assert again.architecture == network.architecture
    again.load_state_dict(network.state_dict())
    image = torch.rand(1, 2, 8, 8)
    assert torch.equal(again.eval()(image), network.eval()(image))


def test_an_architecture_without_a_kind_is_a_unet():
    assert isinstance(build_network({"depth": 0, "width": 1}), UNet)


def test_an_unknown_kind_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match="no network of the kind 'transformer'; choose unet"):
        build_network({"kind": "transformer"})


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_the_tile_arithmetic_is_known_before_a_network_is_built(padding):
    network = UNet(depth=2, width=1, padding=padding, up="upsample")
    assert geometry_of(network.architecture) == network.geometry == Geometry(2, padding, "upsample")


def test_regression_keeps_the_values_that_others_turn_into_probabilities():
    output = torch.tensor([[[[3.0]], [[-1.0]]]])
    assert torch.equal(activate(output, "regression"), output)
    assert torch.equal(activate(output, "classes"), output.softmax(dim=1))
