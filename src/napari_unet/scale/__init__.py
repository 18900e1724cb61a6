"""More than fits in memory: stacks on disk, segmented slice by slice."""

from napari_unet.scale.volumes import VolumeReport, predict_volume, sample_range

__all__ = ["VolumeReport", "predict_volume", "sample_range"]
