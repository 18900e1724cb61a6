"""A map put together of strips is the map."""

import pytest
import torch
from scipy.ndimage import uniform_filter1d

from napari_unet.network.strips import in_strips

CPU = torch.device("cpu")


def mean_of_five(values, asked):
    """Return a computation that mirrors what it has not: wrong within two rows of a cut."""

    def compute(rows):
        asked.append(rows)
        cut = values[..., rows, :].numpy()
        return torch.from_numpy(uniform_filter1d(cut, 5, axis=-2, mode="mirror"))

    return compute


@pytest.mark.parametrize("rows", [slice(0, 1000), slice(0, 191), slice(37, 38), slice(101, 777)])
@pytest.mark.parametrize("width", [1, 7])
def test_strips_are_the_whole(rows, width):
    values = torch.rand(2, 3, 1000, width, dtype=torch.float64)
    asked = []
    got = in_strips(mean_of_five(values, asked), rows, margin=2, device=CPU)
    expected = mean_of_five(values, [])(rows)
    torch.testing.assert_close(got, expected)
    assert max(part.stop - part.start for part in asked) < 200


def test_too_small_a_margin_would_be_seen():
    values = torch.rand(1, 1, 1000, 2, dtype=torch.float64)
    got = in_strips(mean_of_five(values, []), slice(0, 1000), margin=1, device=CPU)
    assert not torch.allclose(got, mean_of_five(values, [])(slice(0, 1000)))


def test_a_gpu_computes_the_whole_at_once():
    asked = []
    compute = mean_of_five(torch.rand(1, 1, 1000, 2), asked)
    in_strips(compute, slice(0, 1000), margin=2, device=torch.device("cuda"))
    assert asked == [slice(0, 1000)]
