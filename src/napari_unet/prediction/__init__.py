"""Prediction: overlap tiles, probabilities, and cells from probabilities."""

from napari_unet.network import InstanceOptions
from napari_unet.prediction.contrast import contrast
from napari_unet.prediction.errors import PredictionError
from napari_unet.prediction.instances import (
    free_number,
    instances,
    number_on,
    number_uniquely,
)
from napari_unet.prediction.memory import out_of_memory
from napari_unet.prediction.normalisation import IntensityRange, SliceStack, measure_range
from napari_unet.prediction.pixel_size import at_pixel_size, pixel_ratio, rescaling
from napari_unet.prediction.predict import (
    PredictionReport,
    check_image,
    labels_from,
    never,
    predict,
    predict_slices,
)
from napari_unet.prediction.reading import resize
from napari_unet.prediction.tiles import Tile, mirrored, plan_tiles
from napari_unet.prediction.views import VIEWS, check_views

__all__ = [
    "VIEWS",
    "InstanceOptions",
    "IntensityRange",
    "PredictionError",
    "PredictionReport",
    "SliceStack",
    "Tile",
    "at_pixel_size",
    "check_image",
    "check_views",
    "contrast",
    "free_number",
    "instances",
    "labels_from",
    "measure_range",
    "mirrored",
    "never",
    "number_on",
    "number_uniquely",
    "out_of_memory",
    "pixel_ratio",
    "plan_tiles",
    "predict",
    "predict_slices",
    "rescaling",
    "resize",
]
