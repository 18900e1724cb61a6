"""What is measured, as data: sets of images, runs, tables of runs, goals.

A run stands in every table that it belongs to: the three-minute runs of the quality tables are the
first rows of the ablations, and nothing is trained twice. Plain values only, so that the
documentation is made from this without loading the program.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SEEDS = (0, 1)
MINUTES = (1.0, 3.0, 10.0)
CURVE = (1, 2, 5, 10, 20, 40)  # annotated images
PRESET = "quick"
ABLATION_MINUTES = 3.0
THREADS = 2  # on any machine, so that minutes stay comparable
LOCAL_WEIGHTS = "local"  # stands for the file that NAPARI_UNET_ENCODER_WEIGHTS names
LIMIT_HOURS = 3.0


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Real images, how they are split, and how a network learns from them.

    Parameters
    ----------
    title : str
        What the documentation calls it.
    folder : str
        Below the folder of real images; holds ``images`` and ``labels``.
    train, test : slice or tuple of str
        Names without ending, or a part of the sorted names. Contiguous: neighbours look alike.
    task : {"instances", "classes"}
        How the labels are learnt. The scores are the same for both.
    sparse : tuple of str
        Images with only some cells labelled: these and a rim around each count.
    objects : bool
        Whether the labels are cells; else two classes, the pieces of one being the regions.
    aside : float
        Seconds that a run takes beside its minutes: start, choosing how cells are cut,
        prediction, scores. Measured.
    """

    title: str
    folder: str
    train: slice | tuple[str, ...]
    test: slice | tuple[str, ...]
    task: Literal["instances", "classes"] = "instances"
    sparse: tuple[str, ...] = ()
    objects: bool = True
    aside: float


DATASETS: Mapping[str, Dataset] = {
    "nuclei": Dataset(
        title="fluorescent nuclei (BBBC038)",
        folder="dsb2018_nuclei",
        train=slice(0, 40),
        test=slice(40, 60),
        aside=22.0,
    ),
    "dic": Dataset(
        title="DIC-HeLa cells",
        folder="dic_hela",
        train=("01_t002", "01_t005", "01_t021", "01_t031", "01_t067"),
        test=("01_t034", "01_t039", "01_t054"),
        sparse=("01_t067",),
        aside=9.0,
    ),
    "em": Dataset(
        title="electron microscopy (ISBI 2012)",
        folder="isbi2012_em",
        train=slice(0, 18),
        test=slice(18, 24),
        objects=False,
        aside=20.0,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training and its scores on images that it never saw; or scores without a training.

    Parameters
    ----------
    dataset : str
        A key of `DATASETS`.
    variant : str
        What is special, for the name; empty for the preset as it is.
    minutes : float
        For the whole training; 0 without one.
    seed : int
        Of everything random; with fewer `images` it also draws which.
    images : int or None
        How many of the training images are annotated; None: all.
    changes : tuple of (str, value)
        Options of the training that differ from the preset.
    probes : tuple of str
        What is measured besides the scores: names in `probes.PROBES`.
    method : {"train", "otsu_watershed"}
        How the labels are found.
    """

    dataset: str
    variant: str = ""
    minutes: float = ABLATION_MINUTES
    seed: int = 0
    images: int | None = None
    preset: str = PRESET
    changes: tuple[tuple[str, Any], ...] = ()
    probes: tuple[str, ...] = ()
    method: Literal["train", "otsu_watershed"] = "train"

    @property
    def name(self) -> str:
        """A name for files, lists and patterns; no two runs of the plan share one."""
        if self.method != "train":
            return f"{self.dataset}-{self.method}"
        parts = [self.dataset, self.variant, f"{self.minutes:g}min", f"seed{self.seed}"]
        return "-".join(part for part in parts if part)

    @property
    def key(self) -> str:
        """Hash of everything that decides the result, so not of the name."""
        record = asdict(self)
        record.pop("variant")
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def needs_weights(self) -> bool:
        """Whether it wants a file with an encoder's pretrained weights."""
        return ("encoder_weights", LOCAL_WEIGHTS) in self.changes

    @property
    def estimate(self) -> float:
        """Seconds that it is going to take."""
        return 60 * self.minutes + DATASETS[self.dataset].aside

    def to_json(self) -> str:
        """Return the record as one line for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Run:
        """Read what `to_json` wrote."""
        record = json.loads(line)
        record["changes"] = tuple((name, value) for name, value in record["changes"])
        record["probes"] = tuple(record["probes"])
        return cls(**record)


@dataclass(frozen=True)
class Column:
    """One score of a table."""

    key: str
    title: str
    style: Literal["score", "count", "percent"] = "score"


Columns = tuple[Column, ...]


@dataclass(frozen=True)
class Row:
    """What is compared, and its runs, one per seed."""

    label: str
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Table:
    """Runs that are read side by side."""

    key: str
    head: str
    columns: Columns
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What the longest runs of a set have to reach.

    Parameters
    ----------
    bound : float
        The score must be at least this, or at most where `lower` is better.
    above_baseline : bool
        The bound counts from the score without training.
    """

    dataset: str
    column: Column
    bound: float
    lower: bool = False
    above_baseline: bool = False

    def met(self, score: float, baseline: float = 0.0) -> bool:
        """Tell whether a score, not rounded, reaches the goal."""
        value = score - baseline if self.above_baseline else score
        return value <= self.bound if self.lower else value >= self.bound


AP50 = Column("ap50", "AP50")
SEG = Column("seg", "SEG")
RAND = Column("rand_error", "adapted Rand error")
PIXEL = Column("pixel_error", "pixel error")
V_RAND = Column("v_rand", "V_rand")
V_INFO = Column("v_info", "V_info")
WARPING = Column("warping_error", "warping error", "percent")
STEPS = Column("steps", "steps", "count")

CELLS = (AP50, SEG, STEPS)
REGIONS = (RAND, PIXEL, STEPS)
COLUMNS: Mapping[str, Columns] = {"nuclei": CELLS, "dic": CELLS, "em": REGIONS}
MAIN: Mapping[str, Column] = {"nuclei": AP50, "dic": SEG, "em": RAND}


def seeds(dataset: str, **values: Any) -> tuple[Run, ...]:
    """Return a run for each seed."""
    return tuple(Run(dataset=dataset, seed=seed, **values) for seed in SEEDS)


def quality(dataset: str, minutes: float = ABLATION_MINUTES) -> tuple[Run, ...]:
    """Return the runs of the preset as it is; the shortest of EM also show the period 2."""
    probes = ("period_two",) if dataset == "em" and minutes == MINUTES[0] else ()
    return seeds(dataset, minutes=minutes, probes=probes)


def untrained(dataset: str) -> tuple[Run, ...]:
    """Return the run without a training."""
    return (Run(dataset=dataset, minutes=0.0, method="otsu_watershed"),)


def quality_table(dataset: str, key: str = "quality", columns: Columns | None = None) -> Table:
    """Return what minutes bring on one set."""
    rows = [Row(f"{minutes:g}", quality(dataset, minutes)) for minutes in MINUTES]
    if DATASETS[dataset].objects:
        rows.insert(0, Row("none: Otsu and watershed", untrained(dataset)))
    columns = columns or COLUMNS[dataset]
    return Table(f"{key}-{dataset}", "minutes of training", columns, tuple(rows))


def with_images(number: int) -> tuple[Run, ...]:
    """Return the runs on so many annotated images; all of them are those of the quality table."""
    everything = quality("nuclei")
    if number == max(CURVE):
        return everything
    return (Run(dataset="nuclei", variant=f"{number}-images", images=number),)


def change(dataset: str, variant: str, **changes: Any) -> tuple[Run, ...]:
    """Return the ablation runs with some options changed."""
    return seeds(dataset, variant=variant, changes=tuple(changes.items()))


LARGE_PATCH = change("em", "1x448", batch=1, patch=448)
"""As many pixels per step as the preset's 4 x 224 x 224."""

LITE = change("dic", "lite0", encoder="efficientnet_lite0", encoder_weights=None)[:1]
LITE_PRETRAINED = change(
    "dic", "lite0-pretrained", encoder="efficientnet_lite0", encoder_weights=LOCAL_WEIGHTS
)[:1]
"""One seed, for the three hours."""

VALID = seeds(
    "em",
    variant="valid",
    changes=(("padding", "valid"), ("batch", 1), ("patch", 444)),
    probes=("border",),
)

TABLES: tuple[Table, ...] = (
    *(quality_table(dataset) for dataset in DATASETS),
    quality_table("em", "challenge", (V_RAND, V_INFO, WARPING)),
    Table(
        "learning-curve",
        "annotated images",
        CELLS,
        tuple(Row(str(number), with_images(number)) for number in CURVE),
    ),
    Table(
        "weight-map",
        "weight map",
        CELLS,
        (
            Row("with", quality("nuclei")),
            Row("without (w0 = 0)", change("nuclei", "no-weight-map", w0=0.0)),
        ),
    ),
    Table(
        "elastic-warp",
        "elastic warp",
        REGIONS,
        (
            Row("with", quality("em")),
            Row("without", change("em", "no-elastic", elastic=False)),
        ),
    ),
    Table(
        "padding",
        "padding, one patch per step",
        REGIONS,
        (Row("same, 448 px", LARGE_PATCH), Row("valid, 444 px", VALID)),
    ),
    Table(
        "batch",
        "patches per step",
        REGIONS,
        (Row("4 of 224 px", quality("em")), Row("1 of 448 px", LARGE_PATCH)),
    ),
    Table(
        "skips",
        "skip connections",
        CELLS,
        (
            Row("concatenated (2015)", quality("dic")),
            Row("added", change("dic", "skips-add", skips="add")),
            Row("none", change("dic", "skips-none", skips="none")),
        ),
    ),
    Table(
        "depth",
        "poolings",
        CELLS,
        (
            *(Row(str(n), change("dic", f"depth-{n}", depth=n)) for n in range(4)),
            Row("4", quality("dic")),
        ),
    ),
    Table(
        "encoder",
        "contracting path",
        CELLS,
        (
            Row("U-Net, width 16", quality("dic")),
            Row("EfficientNet-Lite0, random weights", LITE),
            Row("EfficientNet-Lite0, weights of ImageNet", LITE_PRETRAINED),
        ),
    ),
    Table(
        "border",
        "pixel error of the valid network",
        (
            Column("border_92_mirrored", "outer 92 px, mirrored"),
            Column("border_92_zero", "outer 92 px, zeros"),
            Column("border_16_mirrored", "outer 16 px, mirrored"),
            Column("border_16_zero", "outer 16 px, zeros"),
        ),
        (Row("valid, 444 px", VALID),),
    ),
    Table(
        "checkerboard",
        "up-convolution",
        (
            Column("period_two_untrained", "energy at period 2, untrained", "percent"),
            Column("period_two", "energy at period 2, after 1 minute", "percent"),
            PIXEL,
        ),
        (
            Row("transposed", quality("em", MINUTES[0])),
            Row(
                "upsample, 2×2 convolution",
                seeds(
                    "em",
                    variant="upsample",
                    minutes=MINUTES[0],
                    changes=(("up", "upsample"),),
                    probes=("period_two",),
                ),
            ),
        ),
    ),
)

GOALS: tuple[Goal, ...] = (
    Goal(dataset="nuclei", column=AP50, bound=0.85),
    Goal(dataset="nuclei", column=AP50, bound=0.12, above_baseline=True),
    Goal(dataset="dic", column=SEG, bound=0.82),
    Goal(dataset="em", column=RAND, bound=0.12, lower=True),
    Goal(dataset="em", column=PIXEL, bound=0.08, lower=True),
)


def runs_of(tables: Iterable[Table]) -> tuple[Run, ...]:
    """Return every run of some tables once, in their order."""
    return tuple(dict.fromkeys(run for table in tables for row in table.rows for run in row.runs))


PLAN: tuple[Run, ...] = runs_of(TABLES)


def chosen(pattern: str | None) -> tuple[Run, ...]:
    """Return the runs whose name, or one of whose tables, fits a pattern such as ``em*``.

    Raises
    ------
    ValueError
        If nothing fits.
    """
    if pattern is None:
        return PLAN
    tables = [table for table in TABLES if fnmatchcase(table.key, pattern)]
    named = set(runs_of(tables)) | {run for run in PLAN if fnmatchcase(run.name, pattern)}
    if not named:
        raise ValueError(
            f"no run and no table is called {pattern!r}; --list shows the names, and * stands for "
            "any letters"
        )
    return tuple(run for run in PLAN if run in named)


def total_seconds(runs: Iterable[Run]) -> float:
    """Return how long some runs are going to take together."""
    return sum(run.estimate for run in runs)
