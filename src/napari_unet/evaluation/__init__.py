"""How well predicted labels agree with the truth."""

from napari_unet.evaluation.baseline import otsu_watershed
from napari_unet.evaluation.cells import CellRecord, Fates, cell_report, fates
from napari_unet.evaluation.classes import ClassScore
from napari_unet.evaluation.matching import Overlaps, count_matches, overlaps
from napari_unet.evaluation.measures import (
    THRESHOLDS,
    adapted_rand_error,
    average_precision,
    f1,
    pixel_error,
    seg,
)
from napari_unet.evaluation.partitions import PartitionScores, partition_scores, thin_borders
from napari_unet.evaluation.properties import (
    CellProperties,
    Intensity,
    cell_properties,
    property_columns,
    property_row,
    unnamed_channels,
)
from napari_unet.evaluation.regression import (
    OutputScore,
    ValueScores,
    mae,
    psnr,
    r2,
    rmse,
    value_scores,
)
from napari_unet.evaluation.scores import CurvePoint, Scores, evaluate
from napari_unet.evaluation.topology import draw_borders, topological_errors, warping_error

__all__ = [
    "THRESHOLDS",
    "CellProperties",
    "CellRecord",
    "ClassScore",
    "CurvePoint",
    "Fates",
    "Intensity",
    "OutputScore",
    "Overlaps",
    "PartitionScores",
    "Scores",
    "ValueScores",
    "adapted_rand_error",
    "average_precision",
    "cell_properties",
    "cell_report",
    "count_matches",
    "draw_borders",
    "evaluate",
    "f1",
    "fates",
    "mae",
    "otsu_watershed",
    "overlaps",
    "partition_scores",
    "pixel_error",
    "property_columns",
    "property_row",
    "psnr",
    "r2",
    "rmse",
    "seg",
    "thin_borders",
    "topological_errors",
    "unnamed_channels",
    "value_scores",
    "warping_error",
]
