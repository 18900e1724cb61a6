"""Everything that decides how a network is trained, and the presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

from napari_unet.annotations import Task
from napari_unet.augmentation import AugmentationConfig
from napari_unet.network.building import geometry_of
from napari_unet.network.encoders import ENCODERS
from napari_unet.network.ensemble import MOST_MEMBERS

# Forms and limits read the types of the options when the program runs.
from napari_unet.network.geometry import Padding, UpConvolution  # noqa: TC001
from napari_unet.network.initialisation import Initialisation  # noqa: TC001
from napari_unet.network.normalisation import Normalisation  # noqa: TC001
from napari_unet.network.unet import Skips  # noqa: TC001
from napari_unet.options import check_limits, option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_unet.network.geometry import TileArithmetic

__all__ = ["PRESETS", "TrainingConfig"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Everything that decides how a network is trained.

    Start from a preset: ``TrainingConfig.from_preset("quick", minutes=5)``.

    Raises
    ------
    ValueError
        If a value is outside the limits that stand beside it, or does not suit another.
    """

    preset: str = option("quick", "Where the values below come from.", title="Preset")
    task: Task = option(
        "instances",
        "Instances: every cell has its own number. Classes: every value is a kind of tissue. "
        "Regression: labels are values to predict.",
        title="Task",
        choices=get_args(Task),
    )
    minutes: float | None = option(
        3.0,
        "Time for the whole training. The learning rate falls to zero towards its end, so more "
        "time is a different training, not a longer one.",
        title="Minutes",
        min=0.01,
        max=10_000.0,
        unit="min",
    )
    until_stopped: bool = option(
        False,
        "Train until you press Stop, however long that is. If you know the time, give it: a "
        "training that knows its end reaches more by then.",
        title="Until I stop",
    )
    steps: int | None = option(
        None,
        "Stop after this many steps instead of after a time; the result is then repeatable.",
        title="Steps",
        min=1,
        max=10_000_000,
        advanced=True,
    )
    device: str = option(
        "auto",
        "The processor that trains; the fastest available is a GPU where there is one.",
        title="Device",
    )
    threads: int | None = option(
        None,
        "CPU threads; all by default. napari leaves one core to the window.",
        title="Threads",
        min=1,
        max=256,
        advanced=True,
    )
    seed: int = option(
        0,
        "The same seed, steps and threads give the same network on the same CPU.",
        title="Seed",
        min=0,
        max=2**31 - 1,
        advanced=True,
    )
    validation: float = option(
        0.2,
        "Share of the annotated images, slices or regions that is never trained on and "
        "measures the quality.",
        title="Validation share",
        min=0.0,
        max=0.5,
        step=0.05,
        advanced=True,
    )
    network: Literal["unet", "sliding_window"] = option(
        "unet",
        "The U-Net, or what it replaced (2012): a classifier that is shown one window per pixel. "
        "It has no depth, padding, up-convolution and skips, and predicts slowly.",
        title="Network",
        choices={"unet": "U-Net", "sliding_window": "Sliding window"},
        advanced=True,
    )
    window: int = option(
        65,
        "Side of the sliding window. A large one sees more surroundings, a small one knows better "
        "where an outline runs; a U-Net needs no choice.",
        title="Sliding window",
        min=9,
        max=255,
        step=2,
        unit="px",
        advanced=True,
    )
    networks: int = option(
        1,
        "Train so many networks one after the other, each with another part kept back, and "
        "predict the mean of what they say: less a matter of chance, and as many times slower to "
        "predict. They share the time, so give them more of it.",
        title="Networks averaged",
        min=1,
        max=MOST_MEMBERS,
        advanced=True,
    )
    depth: int = option(4, "Poolings of the network.", title="Depth", min=0, max=6, advanced=True)
    width: int = option(
        16,
        "Channels of the first level; the paper has 64. Wider learns more and takes longer.",
        title="Width",
        min=1,
        max=256,
        advanced=True,
    )
    padding: Padding = option(
        "same",
        "Valid (2015) loses a border that overlapping tiles make up for; same keeps the size.",
        title="Padding",
        choices={"valid": "Valid", "same": "Same"},
        advanced=True,
    )
    up: UpConvolution = option(
        "transposed",
        "Transposed convolution (the authors' release) or upsampling and convolution.",
        title="Up-convolution",
        choices={"transposed": "Transposed", "upsample": "Upsampling"},
        advanced=True,
    )
    skips: Skips = option(
        "concat",
        "How fine detail comes back: as further channels (2015), added (FCN), or not at all, "
        "to see what the skip connections do.",
        title="Skip connections",
        choices={"concat": "Concatenated", "add": "Added", "none": "None"},
        advanced=True,
    )
    normalisation: Normalisation = option(
        "batch",
        "Batch normalisation makes training faster; the paper has none. With group or instance "
        "normalisation the result depends on the tile size.",
        title="Normalisation",
        choices={"none": "None", "batch": "Batch", "group": "Group", "instance": "Instance"},
        advanced=True,
    )
    dropout: float = option(
        0.0,
        "Share of values dropped at the bottom of the network.",
        title="Dropout",
        min=0.0,
        max=0.9,
        step=0.1,
        advanced=True,
    )
    init: Initialisation = option(
        "he",
        "How the weights are drawn: He (2015) keeps signals alive through many ReLU layers, "
        "Xavier lets them fade.",
        title="Initial weights",
        choices={"he": "He", "xavier": "Xavier"},
        advanced=True,
    )
    encoder: str | None = option(
        None,
        "The contracting path: that of the U-Net, or a network known from photographs. It has its "
        "own layers and upsampling, and of the options above it takes depth, width and dropout.",
        title="Encoder",
        choices={None: "U-Net", **{name: encoder.title for name, encoder in ENCODERS.items()}},
        advanced=True,
    )
    encoder_weights: str | None = option(
        "imagenet",
        "What the encoder knows at the start: what was learnt on ImageNet (imagenet, downloaded "
        "once), a file of weights, or nothing.",
        title="Encoder weights",
        none="nothing",
        words={"imagenet": "ImageNet"},
        files="Weights (*.safetensors *.pth *.pt *.bin *.ckpt);;All files (*)",
        advanced=True,
    )
    freeze_encoder: bool = option(
        False,
        "Train the expanding path only: faster, and nothing that the encoder knows is lost.",
        title="Freeze the encoder",
        advanced=True,
    )
    encoder_rate: float = option(
        0.5,
        "Share of the learning rate for an encoder with weights, so that it forgets less.",
        title="Rate of the encoder",
        min=0.001,
        max=1.0,
        step=0.05,
        advanced=True,
    )
    patch: int = option(
        224,
        "Side of a training patch in pixels, as the network sees it. Of a sliding window at most "
        "8x8 neighbours are taken.",
        title="Patch",
        min=16,
        max=4096,
        unit="px",
        advanced=True,
    )
    batch: int = option(
        4, "Patches per step; the paper has 1.", title="Batch", min=1, max=256, advanced=True
    )
    optimiser: Literal["adamw", "sgd"] = option(
        "adamw",
        "AdamW with a one-cycle schedule, or the paper's SGD at a constant rate.",
        title="Optimiser",
        choices={"adamw": "AdamW", "sgd": "SGD"},
        advanced=True,
    )
    learning_rate: float = option(
        3e-3,
        "Largest step of the optimiser.",
        title="Learning rate",
        min=1e-9,
        max=1.0,
        advanced=True,
    )
    fine_tuning: float = option(
        1.0,
        "Share of the learning rate when the training goes on from a model: smaller steps keep "
        "more of what it knows.",
        title="Rate from a model",
        min=0.001,
        max=1.0,
        step=0.05,
        advanced=True,
    )
    momentum: float = option(
        0.99, "Momentum of SGD.", title="Momentum", min=0.0, max=0.999, advanced=True
    )
    weight_decay: float = option(
        1e-4, "Pull of the weights to zero.", title="Weight decay", min=0.0, max=1.0, advanced=True
    )
    averaging: float = option(
        0.99,
        "Exponential moving average of the weights; 0 uses the last weights as they are.",
        title="Weight averaging",
        min=0.0,
        max=0.9999,
        advanced=True,
    )
    energy: Literal["mean", "sum"] = option(
        "mean",
        "Average the weighted cross-entropy over the annotated pixels, or sum it (2015).",
        title="Energy",
        choices={"mean": "Mean", "sum": "Sum"},
        advanced=True,
    )
    regression_loss: Literal["mse", "mae"] = option(
        "mse",
        "Error of a regression's values: squares (mse), which large errors dominate, or absolute "
        "differences (mae), which forgive outliers.",
        title="Regression loss",
        choices={"mse": "Squares (MSE)", "mae": "Absolute (MAE)"},
        advanced=True,
    )
    views: int = option(
        2,
        "Predict mirrored and turned views of every image too, and average them: better, and as "
        "many times slower.",
        title="Views averaged",
        choices=(1, 2, 4, 8),
        advanced=True,
    )
    dice: float = option(
        0.0,
        "Add so much of the Dice loss, which counts cells alike however few pixels they have.",
        title="Dice term",
        min=0.0,
        max=10.0,
        step=0.1,
        advanced=True,
    )
    focal: float = option(
        0.0,
        "Let pixels that are right already count less (focal loss); 2 is usual.",
        title="Focal gamma",
        min=0.0,
        max=5.0,
        step=0.5,
        advanced=True,
    )
    w0: float = option(
        10.0,
        "How much more a pixel in the gap between two touching cells weighs.",
        title="Border weight w0",
        min=0.0,
        max=100.0,
        step=0.5,
    )
    sigma: float = option(
        5.0,
        "How wide a gap between cells still counts as narrow, in pixels of the image.",
        title="Border width sigma",
        min=0.5,
        max=100.0,
        step=0.5,
        unit="px",
    )
    balance: bool = option(
        True,
        "Give rare classes more weight, so that they are not drowned out.",
        title="Balance classes",
        advanced=True,
    )
    working_scale: float | None = option(
        None,
        "Pixels that the network sees per pixel of the image; chosen from the size of the "
        "annotated cells by itself. Classes stay at 1: try 0.25 for structures of a hundred "
        "pixels or more.",
        title="Working scale",
        min=0.02,
        max=4.0,
        step=0.05,
        advanced=True,
    )
    use_pixel_size: bool = option(
        True,
        "Show the network images with larger or smaller pixels at one common size, and let the "
        "model remember it. Switch it off where files tell wrong sizes.",
        title="Use pixel sizes",
        advanced=True,
    )
    cell_diameter: float = option(
        32.0,
        "The working scale brings the median cell to this diameter.",
        title="Cell diameter at work",
        min=8.0,
        max=512.0,
        unit="px",
        advanced=True,
    )
    elastic: bool = option(True, "Warp the patches like soft tissue.", title="Elastic warp")
    elastic_sigma: float = option(
        10.0,
        "Strength of the elastic warp: displacements on a 3x3 grid over the patch.",
        title="Warp strength",
        min=0.0,
        max=100.0,
        unit="px",
        advanced=True,
    )
    rotate: bool = option(True, "Rotate and flip the patches.", title="Rotate and flip")
    scaling: float = option(
        0.2,
        "Shrink and enlarge the patches by up to this share.",
        title="Scaling",
        min=0.0,
        max=0.9,
        step=0.05,
        advanced=True,
    )
    intensity: float = option(
        1.0,
        "Strength of changes in brightness, contrast, blur and noise; 0 is none.",
        title="Intensity changes",
        min=0.0,
        max=3.0,
        step=0.1,
        advanced=True,
    )

    def __post_init__(self) -> None:
        check_limits(self)
        if self.steps is None and self.minutes is None and not self.until_stopped:
            raise ValueError("neither minutes nor steps are given; give one of them")
        if self.encoder is not None:
            self._check_encoder()
        self.geometry.output_size(self.input_size)
        self._check_bottom()

    def _check_bottom(self) -> None:
        """Refuse a deepest map of one pixel where its statistics are taken: there are none."""
        measured = self.network == "unet" and self.normalisation in ("batch", "instance")
        if measured and self.encoder is None and self.input_size <= 2**self.depth:
            raise ValueError(
                f"patch is {self.patch}; halved {self.depth} times a single pixel is left of it, "
                f"too little for {self.normalisation} normalisation: choose a larger patch or a "
                "smaller depth"
            )

    def _check_encoder(self) -> None:
        if self.network != "unet":
            raise ValueError(f"network is {self.network!r}, which has no encoder; choose unet")
        if self.padding != "same":
            raise ValueError(
                f"padding is {self.padding!r}; an encoder needs same padding: choose that, or a "
                "preset other than paper"
            )

    def architecture(self, *, in_channels: int, out_channels: int) -> dict[str, Any]:
        """Return what `napari_unet.network.build_network` builds the network from."""
        if self.encoder is not None:
            return {
                "kind": "encoder",
                "in_channels": in_channels,
                "out_channels": out_channels,
                "encoder": self.encoder,
                "depth": self.depth,
                "width": self.width,
                "dropout": self.dropout,
            }
        common = {
            "kind": self.network,
            "in_channels": in_channels,
            "out_channels": out_channels,
            "width": self.width,
            "normalisation": self.normalisation,
            "dropout": self.dropout,
            "init": self.init,
        }
        if self.network == "sliding_window":
            return {**common, "window": self.window}
        return {
            **common,
            "depth": self.depth,
            "padding": self.padding,
            "up": self.up,
            "skips": self.skips,
        }

    @property
    def geometry(self) -> TileArithmetic:
        """Tile arithmetic of the network."""
        return geometry_of(self.architecture(in_channels=1, out_channels=2))

    @property
    def input_size(self) -> int:
        """The patch size that the network accepts: at least `patch`, or some windows."""
        return self.geometry.patch_size(self.patch)

    @property
    def augmentation(self) -> AugmentationConfig:
        """The augmentation that these options describe."""
        usual = AugmentationConfig()
        return AugmentationConfig(
            elastic_sigma=self.elastic_sigma if self.elastic else 0.0,
            flips=self.rotate,
            rotation=180.0 if self.rotate else 0.0,
            scaling=self.scaling,
            gain=usual.gain * self.intensity,
            offset=usual.offset * self.intensity,
            gamma=usual.gamma * self.intensity,
            noise=usual.noise * self.intensity,
            blur=usual.blur * self.intensity,
        )

    @classmethod
    def from_preset(cls, name: str, **changes: Any) -> TrainingConfig:
        """Return a preset with some values changed.

        ``steps`` given without ``minutes`` replaces the preset's time, and the other way round.
        For the task regression neither sizes nor grey values of patches are changed unless
        `changes` say so: the values to predict may depend on both.

        Raises
        ------
        ValueError
            If there is no such preset or a value is out of its limits.
        """
        if name not in PRESETS:
            raise ValueError(f"there is no preset {name!r}; choose {', '.join(PRESETS)}")
        if changes.get("task") == "regression":
            changes = {**_REGRESSION, **changes}
        if changes.get("steps") is not None:
            changes.setdefault("minutes", None)
        elif changes.get("minutes") is not None:
            changes.setdefault("steps", None)
        return replace(PRESETS[name], **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values, for a file."""
        return asdict(self)


_REGRESSION: Mapping[str, Any] = MappingProxyType({"scaling": 0.0, "intensity": 0.0})

PRESETS: Mapping[str, TrainingConfig] = MappingProxyType(
    {
        "quick": TrainingConfig(),
        "balanced": TrainingConfig(
            preset="balanced", minutes=15.0, width=32, patch=256, batch=4, averaging=0.995, views=4
        ),
        "best": TrainingConfig(preset="best", minutes=45.0, networks=3),
        "paper": TrainingConfig(
            preset="paper",
            minutes=600.0,
            width=64,
            padding="valid",
            normalisation="none",
            dropout=0.5,
            patch=572,
            batch=1,
            optimiser="sgd",
            learning_rate=1e-8,  # measured: docs/benchmarks.md
            weight_decay=0.0,
            averaging=0.0,
            energy="sum",
            working_scale=1.0,
            scaling=0.0,
            views=1,
        ),
    }
)
"""quick: a useful network in minutes on a laptop. balanced: a wider one, on a GPU or over lunch.
best: the mean of three quick ones, each with a third of the time. paper: Ronneberger et al. 2015,
literally."""
