from itertools import pairwise

import numpy as np
import pytest
import tifffile
from skimage.draw import disk
from skimage.io import imread

from napari_unet.annotations import (
    annotate,
    binary_to_instances,
    cell_diameter,
    coverage,
    is_crowded,
    typical_diameter,
    working_scale,
)


def discs(diameter, size=400, gap=6):
    step = diameter + gap
    across = size // step
    away = np.indices((step, step)) - (step - 1) / 2
    disc = np.hypot(*away) < diameter / 2
    numbers = np.arange(1, across**2 + 1).reshape(across, across)
    return np.pad(np.kron(numbers, disc), (0, size - step * across))


def picture(labels, annotated=None):
    return annotate(np.zeros(labels.shape, np.uint8), labels, annotated=annotated)


@pytest.mark.parametrize("diameter", [8, 20, 45, 90])
def test_the_diameter_of_discs_is_measured(diameter):
    assert cell_diameter(discs(diameter)) == pytest.approx(diameter, rel=0.06)


def test_no_cell_has_no_diameter():
    assert cell_diameter(np.zeros((9, 9), int)) is None


def test_cells_cut_by_the_border_or_a_region_are_left_out():
    labels = discs(40)
    annotated = np.zeros(labels.shape, bool)
    annotated[:, 30:] = True
    assert cell_diameter(labels[:, 20:]) == pytest.approx(40, rel=0.05)
    assert cell_diameter(labels, annotated) == pytest.approx(40, rel=0.05)


def test_cut_cells_are_better_than_none():
    labels = np.zeros((30, 30), int)
    labels[:20] = 1
    assert cell_diameter(labels) == pytest.approx(np.sqrt(4 * 600 / np.pi))


def test_slips_of_the_brush_are_no_cells():
    labels = discs(40)
    kept = np.where(labels <= 5, labels, 0)
    for value in range(10):
        kept[395, 20 * value] = 100 + value
    assert cell_diameter(kept) == pytest.approx(40, rel=0.05)


@pytest.mark.parametrize(
    ("diameter", "expected"), [(64, 0.5), (96, 1 / 3), (16, 2), (32, 1), (27, 1), (6, 2)]
)
def test_cells_come_to_the_target_diameter_within_limits(diameter, expected):
    scale = working_scale([picture(discs(diameter))], task="instances")
    assert scale == pytest.approx(expected, rel=0.06)


def test_limits_and_target_can_be_changed():
    images = [picture(discs(64))]
    assert working_scale(images, task="instances", smallest=0.7) == 0.7
    assert working_scale(images, task="instances", target_diameter=64) == 1
    with pytest.raises(ValueError, match="above 0"):
        working_scale(images, task="instances", target_diameter=0)


def test_pictures_without_cells_and_classes_stay_as_they_are():
    assert working_scale([], task="instances") == 1
    assert working_scale([picture(np.zeros((9, 9), int))], task="instances") == 1
    assert working_scale([picture(discs(90))], task="classes") == 1


def test_a_cell_painted_outside_the_regions_does_not_count():
    labels = discs(90)
    labels[:50, :50] = 0
    labels[10:42, 10:42] = 999
    annotated = np.zeros(labels.shape, bool)
    annotated[:50, :50] = True
    assert working_scale([picture(labels, annotated)], task="instances") == 1


def interiors(widths):
    """Draw rectangles of all these widths and heights with membranes of 3 px between them."""
    edges = np.cumsum([0, *widths])
    labels = np.zeros((edges[-1], edges[-1]), int)
    numbers = iter(range(1, 10_000))
    for top, bottom in pairwise(edges):
        for left, right in pairwise(edges):
            labels[top : bottom - 3, left : right - 3] = next(numbers)
    return labels


@pytest.mark.parametrize(("widths", "expected"), [([20, 140, 35, 90] * 2, 1), ([80] * 6, 0.37)])
def test_only_interiors_of_any_size_stay_at_full_resolution(widths, expected):
    images = [picture(interiors(widths))]
    assert working_scale(images, task="instances") == pytest.approx(expected, abs=0.02)


def _apart(diameters):
    """Draw discs far from each other, and count them with a rim of 5 px."""
    labels = np.zeros((160 * len(diameters), 160), int)
    for number, diameter in enumerate(diameters, start=1):
        labels[disk((160 * number - 80, 80), diameter / 2)] = number
    return labels, coverage(labels)


def test_single_cells_with_their_rims_fill_nothing():
    labels, annotated = _apart([40, 45, 100, 110])
    assert (labels[annotated] > 0).mean() > 0.7
    assert not is_crowded([(labels, annotated)])
    scale = working_scale([picture(labels, annotated)], task="instances")
    assert scale == pytest.approx(32 / 72.5, rel=0.05)


def test_regions_and_neighbours_between_membranes_fill_what_is_annotated():
    labels = interiors([20, 140, 35, 90] * 2)
    region = np.zeros(labels.shape, bool)
    region[100:400, 100:400] = True
    group = np.where(np.isin(labels, np.unique(labels[150:350, 150:350])), labels, 0)
    for shown, annotated in ((labels, region), (group, coverage(group))):
        assert is_crowded([(shown, annotated)])
    one, rim = _apart([100])
    whole = np.ones(labels.shape, bool)
    assert is_crowded([(one, rim), (labels, whole)])


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [("isbi2012_em", 1.0, 1.0), ("dic_hela", 0.25, 0.35), ("dsb2018_nuclei", 0.8, 1.25)],
)
def test_real_images_get_the_scale_that_works(real_data, name, lowest, highest):
    paths = sorted((real_data / name / "labels").glob("*"))
    assert paths
    read = [tifffile.imread(p) if p.suffix == ".tif" else imread(p) for p in paths]
    labels = binary_to_instances(read)
    whole = [picture(image) for image in labels]
    assert lowest <= working_scale(whole, task="instances") <= highest
    if name == "dic_hela":
        painted = [picture(image, coverage(image)) for image in labels]
        assert lowest <= working_scale(painted, task="instances") <= highest


def test_pixels_of_another_length_are_counted_in_those_of_the_reference():
    coarse, fine = picture(discs(20)), picture(discs(40))
    assert typical_diameter([coarse, fine], ratios=(2.0, 1.0)) == pytest.approx(40, rel=0.05)
    both = [coarse, fine]
    assert working_scale(both, task="instances", ratios=(4.0, 2.0)) == pytest.approx(0.4, rel=0.05)
