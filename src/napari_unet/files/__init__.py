"""Images in; labels, values, probabilities, tables, models and recovery files out."""

from napari_unet.files.errors import FileError
from napari_unet.files.images import ImageFile, read_image, read_labels, read_values
from napari_unet.files.models import load_model, save_model
from napari_unet.files.names import (
    LABEL_ENDINGS,
    ImagePair,
    image_paths,
    listed_names,
    match_labels,
    stem,
    unread_pictures,
    without_labels,
)
from napari_unet.files.ome_zarr import holds_labels
from napari_unet.files.recovery import (
    Recovery,
    RecoveryEntry,
    RecoveryList,
    RecoveryProblem,
    discard_recovery,
    list_recoveries,
    load_recovery,
    recovery_folder,
    save_recovery,
)
from napari_unet.files.results import (
    label_file,
    probability_file,
    write_labels,
    write_probabilities,
    write_values,
)
from napari_unet.files.tables import write_table

__all__ = [
    "LABEL_ENDINGS",
    "FileError",
    "ImageFile",
    "ImagePair",
    "Recovery",
    "RecoveryEntry",
    "RecoveryList",
    "RecoveryProblem",
    "discard_recovery",
    "holds_labels",
    "image_paths",
    "label_file",
    "list_recoveries",
    "listed_names",
    "load_model",
    "load_recovery",
    "match_labels",
    "probability_file",
    "read_image",
    "read_labels",
    "read_values",
    "recovery_folder",
    "save_model",
    "save_recovery",
    "stem",
    "unread_pictures",
    "without_labels",
    "write_labels",
    "write_probabilities",
    "write_table",
    "write_values",
]
