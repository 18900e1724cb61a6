"""The classifier of windows: one decision per pixel, and the layers of 2012."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_unet.network import SlidingWindow, build_network, geometry_of
from napari_unet.network.sliding_window import WindowGeometry

ODD = range(9, 130, 2)


def test_the_layers_of_95_pixels_are_those_of_2012():
    network = SlidingWindow(window=95, width=48)
    assert network.geometry.sizes == (95, 92, 46, 42, 21, 18, 9, 6, 3)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in layers] == [
        (48, 1, 4, 4),
        (48, 48, 5, 5),
        (48, 48, 4, 4),
        (48, 48, 4, 4),
        (200, 432),
        (2, 200),
    ]


@pytest.mark.parametrize("window", ODD)
def test_no_pixel_is_lost_on_the_way_to_the_last_map(window):
    geometry = WindowGeometry(window)
    convolved = geometry.sizes[1::2]
    assert 1 <= len(convolved) <= 4
    assert all(size % 2 == 0 for size in convolved)
    assert geometry.sizes[-1] <= max(4, window // 16)


@pytest.mark.parametrize("normalisation", ["none", "batch", "group", "instance"])
def test_an_image_is_classified_window_by_window(normalisation):
    torch.manual_seed(0)
    network = SlidingWindow(2, 3, window=17, width=4, normalisation=normalisation).eval()
    image = torch.rand(2, 2, 23, 20)
    with torch.no_grad():
        logits = network(image)
        assert logits.shape == (2, 3, 7, 4)
        for n, y, x in itertools.product(range(2), range(7), range(4)):
            alone = network.classify(image[n : n + 1, :, y : y + 17, x : x + 17])
            assert torch.allclose(logits[n, :, y, x], alone[0], atol=1e-5)


def test_the_number_of_windows_at_a_time_changes_nothing_and_bounds_the_memory(monkeypatch):
    torch.manual_seed(0)
    network = SlidingWindow(window=17, width=4).eval()
    image = torch.rand(1, 1, 40, 41)
    seen = []
    network.stages.register_forward_pre_hook(lambda _m, given: seen.append(len(given[0])))
    with torch.no_grad():
        whole = network(image)
        most = {"cpu": 7 * 4 * 17 * 17}
        monkeypatch.setattr("napari_unet.network.sliding_window._MOST_VALUES", most)
        parts = network(image)
    assert seen == [600, *[7] * 85, 5]
    assert torch.allclose(whole, parts, atol=1e-6)


def test_a_part_is_classified_without_the_rest():
    network = SlidingWindow(window=9, width=2).eval()
    image = torch.rand(1, 1, 30, 30)
    seen = []
    network.stages.register_forward_pre_hook(lambda _m, given: seen.append(len(given[0])))
    with torch.no_grad():
        part = network.part(image, (slice(3, 7), slice(0, 5)))
        assert torch.allclose(part, network(image)[..., 3:7, :5], atol=1e-6)
    assert seen == [4 * 5, 22 * 22]


def test_every_pixel_of_the_window_and_no_other_decides():
    network = SlidingWindow(window=15, width=2).double().eval()
    for module in network.modules():
        if hasattr(module, "weight"):
            nn.init.ones_(module.weight)
        if isinstance(module, nn.MaxPool2d):
            module.forward = lambda values: functional.avg_pool2d(values, 2)
    image = torch.ones(1, 1, 21, 21, dtype=torch.float64, requires_grad=True)
    network(image)[0, 0, 3, 3].backward()
    expected = torch.zeros(21, 21, dtype=torch.bool)
    expected[3:18, 3:18] = True
    assert torch.equal(image.grad[0, 0] != 0, expected)
    assert network.geometry.offset(21) == 7


def test_levels_are_those_of_one_window():
    network = SlidingWindow(window=33, width=2)
    levels = network.levels(64)
    assert [level.sizes for level in levels] == [(33, 30), (15, 12), (6, 2), (1, 1)]
    assert [level.receptive_field for level in levels] == [4, 11, 29, 33]
    assert [level.stride for level in levels] == [1, 2, 4, 8]
    assert [level.channels for level in levels] == [2, 2, 2, 8]


def test_the_arithmetic_is_that_of_a_valid_network_of_stride_one():
    network = SlidingWindow(window=33, width=1)
    geometry = network.geometry
    assert geometry_of(network.architecture) == geometry
    assert (geometry.padding, geometry.stride, geometry.context) == ("valid", 1, 16)
    assert [geometry.output_size(size) for size in (33, 34, 100)] == [1, 2, 68]
    assert geometry.input_size_for(10) == 42
    with pytest.raises(ValueError, match=r"input of 20 .* window of 33 .* that work are 33"):
        network(torch.zeros(1, 1, 40, 20))


def test_a_patch_holds_at_least_one_window_and_few_neighbours():
    geometry = WindowGeometry(65)
    assert [geometry.patch_size(wanted) for wanted in (16, 65, 68, 224)] == [65, 65, 68, 72]


@pytest.mark.parametrize("window", [64, 7, -3])
def test_a_window_without_a_centre_or_too_small_is_refused(window):
    with pytest.raises(ValueError, match=f"window is {window}; choose an odd number"):
        SlidingWindow(window=window)


def test_it_is_built_again_from_its_architecture():
    network = SlidingWindow(1, 2, window=9, width=3, normalisation="batch", dropout=0.2)
    again = build_network(network.architecture)
    assert again.architecture == network.architecture
    again.load_state_dict(network.state_dict())
    image = torch.rand(1, 1, 12, 12)
    assert torch.equal(again.eval()(image), network.eval()(image))
