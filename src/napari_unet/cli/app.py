"""The commands and their options; what they do stands in the other files, loaded when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_unet import __version__
from napari_unet.cli.arguments import (
    TASK_HELP,
    CellSettings,
    Command,
    Debug,
    Device,
    IgnorePixelSize,
    Names,
    Overwrite,
    Program,
    Regions,
    TaskName,
    TaskOption,
    TrainHelp,
    TrainSettings,
    Unlabelled,
    finite,
)
from napari_unet.cli.failures import UsageError

__all__ = ["PROGRAM", "app"]

PROGRAM = "napari-unet"

app = typer.Typer(
    cls=Program,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First steps: napari-unet demo. Then: napari-unet train --help.",
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def workbench(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Train a U-Net on your own images. Without a command: open napari with the workbench."""
    if context.invoked_subcommand is None:
        from napari_unet.cli.window import open_workbench

        open_workbench()


@app.command(cls=TrainHelp)
def train(
    images: Annotated[
        Path,
        typer.Argument(exists=True, help="Folder of images (TIFF, PNG, OME-Zarr), or one image."),
    ],
    labels: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="Folder of their labels, or one file. To the image STEM belong STEM, "
            "STEM_masks, STEM_cp_masks or STEM_labels.",
        ),
    ],
    model: Annotated[
        Path, typer.Option(metavar="FILE", help="Model to write, for example cells.safetensors.")
    ],
    preset: str | None = None,
    minutes: Annotated[float | None, typer.Option(metavar="M", callback=finite)] = None,
    steps: Annotated[int | None, typer.Option(metavar="N")] = None,
    until_stopped: Annotated[
        bool,
        typer.Option(
            "--until-stopped",
            help="Train until Ctrl-C, however long that is. If you know the time, give it: a "
            "training that knows its end reaches more by then.",
        ),
    ] = False,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="Go on from this model instead of a new network. It stays as it is, unless "
            "--model names it too and --overwrite is given.",
        ),
    ] = None,
    old_images: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            metavar="DIR",
            help="Images to train on as well, but never to validate on: those of --from, so that "
            "it does not forget them. Needs --old-labels.",
        ),
    ] = None,
    old_labels: Annotated[
        Path | None, typer.Option(exists=True, metavar="DIR", help="Labels of --old-images.")
    ] = None,
    old_regions: Annotated[
        Path | None,
        typer.Option(exists=True, metavar="DIR", help="As --regions, for --old-images."),
    ] = None,
    task: Annotated[
        TaskName | None,
        typer.Option(help=TASK_HELP + " (default: instances, or the task of --from)"),
    ] = None,
    names: Names = None,
    unlabelled: Unlabelled = None,
    regions: Regions = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            metavar="DIR",
            help="With --task regression: images named like the others, of how much each pixel "
            "counts, from 0 up. An image without one counts 1 everywhere.",
        ),
    ] = None,
    device: str | None = None,
    regression_loss: str | None = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    validation: Annotated[float | None, typer.Option(metavar="FRACTION", callback=finite)] = None,
    settings: TrainSettings = None,
    ignore_pixel_size: IgnorePixelSize = False,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Train a network on images and their labels, and write it as one file.

    Whole images count as annotated, unless --regions or --unlabelled say otherwise. Ctrl-C stops
    early and keeps the best network so far. During a long training it lies beside the model, as
    NAME.unfinished.safetensors: a computer that goes off loses little.

    Example: napari-unet train images labels --model cells.safetensors --minutes 5

    Go on from a model: napari-unet train new new-labels --model better.safetensors
    --from cells.safetensors --old-images images --old-labels labels
    """
    from napari_unet.cli.class_names import read_names
    from napari_unet.cli.train import (
        Annotations,
        TrainCommand,
        configure,
        read_start,
        train_settings,
    )

    old = None
    if old_images is not None and old_labels is not None:
        old = Annotations(old_images, old_labels, old_regions)
    elif old_images or old_labels or old_regions:
        raise UsageError("--old-images and --old-labels belong together; give both")
    model_before = None if start is None else read_start(start)
    task_before = None if model_before is None else model_before.task
    given = {
        "minutes": minutes,
        "steps": steps,
        "until_stopped": until_stopped or None,
        "task": task_before if task is None else task.name_of_task,
        "device": device,
        "regression_loss": regression_loss,
        "seed": seed,
        "validation": validation,
        "use_pixel_size": False if ignore_pixel_size else None,
    }
    config = configure(preset, given, train_settings(settings or []))
    TrainCommand(
        images=images,
        labels=labels,
        model=model,
        regions=regions,
        weights=weights,
        unlabelled=unlabelled,
        names=read_names(names or [], config.task),
        config=config,
        start=model_before,
        start_path=start,
        old=old,
        overwrite=overwrite,
        debug=debug,
    ).run()


@app.command(cls=Command)
def predict(
    model: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="Model that train has written.")
    ],
    images: Annotated[Path, typer.Argument(exists=True, help="Folder of images, or one image.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write into.")],
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="At most this many output pixels per side and tile: smaller needs less memory "
            "and gives the same result.",
        ),
    ] = None,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities",
            help="Write STEM_probability.tif too: float32, one channel per class, channel 0 the "
            "background.",
        ),
    ] = False,
    views: Annotated[
        int | None,
        typer.Option(
            metavar="1|2|4|8",
            help="Mirrored and turned views of each image to average: more are better and slower. "
            "(default: what the model was trained for)",
        ),
    ] = None,
    settings: CellSettings = None,
    ignore_pixel_size: IgnorePixelSize = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Segment images with a model, and write a label file STEM.tif for each.

    Instances are numbered from 1 and unique per file; classes have the values that they were
    trained on. A regression's values are written as float32, with one channel per output. Where
    the files say that their pixels are larger or smaller than those trained on, the network sees
    the images at the size it knows.

    Example: napari-unet predict cells.safetensors images --out results
    """
    from napari_unet.cli.predict import PredictCommand

    PredictCommand(
        model=model,
        images=images,
        out=out,
        tile=tile,
        views=views,
        settings=settings or [],
        device=device,
        probabilities=probabilities,
        use_pixel_size=not ignore_pixel_size,
        overwrite=overwrite,
        debug=debug,
    ).run()


@app.command(cls=Command)
def evaluate(
    truth: Annotated[Path, typer.Argument(exists=True, help="Folder of true labels, or one file.")],
    predicted: Annotated[
        Path, typer.Argument(exists=True, help="Folder of predicted labels, or one file.")
    ],
    task: TaskOption = TaskName.instances,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE,VALUE",
            help="All values that classes have, such as 0,3,7: label files are then compared by "
            "their values, and nothing is guessed.",
        ),
    ] = None,
    unlabelled: Unlabelled = None,
    regions: Regions = None,
    cells: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Write a table of all cells: matched, split, merged, missed or extra, their "
            "numbers and where they are. For instances.",
        ),
    ] = None,
    em: Annotated[
        bool,
        typer.Option(
            "--em",
            help="Also take the measures for membranes in electron microscopy: V_rand and V_info "
            "after border thinning, and the warping error.",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Compare predicted labels with true ones, over all images together.

    Class files of another program may number the classes otherwise, 0/1 for 0/255: where their
    values do not fit the truth, their ranks are compared. Values of a regression are not counted
    where the truth is NaN.

    Example: napari-unet evaluate labels results --cells cells.csv
    """
    from napari_unet.cli.evaluate import EvaluateCommand, class_values

    EvaluateCommand(
        truth=truth,
        predicted=predicted,
        task=task.name_of_task,
        classes=None if classes is None else class_values(classes),
        unlabelled=unlabelled,
        regions=regions,
        cells=cells,
        em=em,
        json=json,
        overwrite=overwrite,
        debug=debug,
    ).run()


@app.command(cls=Command)
def measure(
    labels: Annotated[Path, typer.Argument(exists=True, help="Folder of labels, or one file.")],
    table: Annotated[Path, typer.Option(metavar="FILE.csv", help="Table to write.")],
    images: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            metavar="DIR",
            help="Folder of their images, or one: then the table tells how bright each cell is "
            "in every channel.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Measure every cell: where it is, its size, its shape and how bright it is.

    One line for each cell and slice. Sizes are in pixels, and in micrometres too where the images
    (or the labels, without images) tell their pixel size.

    Example: napari-unet measure results --images images --table cells.csv
    """
    from napari_unet.cli.measure import MeasureCommand

    MeasureCommand(
        labels=labels, images=images, table=table, overwrite=overwrite, debug=debug
    ).run()


@app.command(cls=Command)
def info(
    model: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="Model that train has written.")
    ],
    network: Annotated[
        bool,
        typer.Option(
            "--network",
            help="Also show the network level by level: map sizes, channels, and how far it looks.",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Show what a model is: what it was trained on, its classes, scale and scores."""
    from napari_unet.cli.info import show_info

    show_info(model, network=network, as_json=json)


@app.command(cls=Command)
def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="Open no window: train, predict and score only.")
    ] = False,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for what the demo writes.")
    ] = Path("demo-output"),
    minutes: Annotated[
        float,
        typer.Option(metavar="M", min=0.01, max=60.0, callback=finite, help="Time to train."),
    ] = 1.9,
    debug: Debug = False,
) -> None:
    """Train on drawn cells and segment others, in napari where there is a display.

    Leaves label files, a model, a picture image | truth | prediction, and the scores, beside
    those of Otsu's threshold with a watershed.
    """
    from napari_unet.cli.demo import DemoCommand

    DemoCommand(out=out, minutes=minutes, headless=headless).run()
