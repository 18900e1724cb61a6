"""One run in a process of its own: `python -m benchmarks.figures.measuring RUN FILE`.

Reports its progress as lines of JSON, and writes the result when, and only when, all is done.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.figures.images import training_images, truths
from benchmarks.figures.plan import DATASETS, THREADS, Run
from benchmarks.figures.probes import PROBES
from benchmarks.figures.results import FORMAT, WEIGHTS_VARIABLE, code, commit, write
from benchmarks.measuring import processor
from benchmarks.peers import import_smp
from napari_unet.annotations import split_connected
from napari_unet.evaluation import evaluate, otsu_watershed
from napari_unet.prediction import labels_from, predict
from napari_unet.training import TrainingConfig, train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from benchmarks.figures.images import Truth
    from benchmarks.figures.plan import Dataset
    from napari_unet.network import TrainedModel
    from napari_unet.training import TrainingReport

__all__ = ["configuration", "measure", "scores_of"]


@dataclass(frozen=True, eq=False)
class Found:
    """The labels that one way of segmenting finds, and what else is known of it."""

    labels: list[NDArray[Any]]
    scores: dict[str, float]
    facts: dict[str, Any]


def configuration(run: Run) -> TrainingConfig:
    """Return the training that a run asks for, on the CPU whatever the machine has."""
    changes = dict(run.changes)
    if run.needs_weights:
        changes["encoder_weights"] = os.environ[WEIGHTS_VARIABLE]
    return TrainingConfig.from_preset(
        run.preset,
        task=DATASETS[run.dataset].task,
        minutes=run.minutes,
        seed=run.seed,
        device="cpu",
        threads=THREADS,
        **changes,
    )


def measure(run: Run, tell: Callable[[float, str], None]) -> dict[str, Any]:
    """Do a run and return its result as plain values.

    Parameters
    ----------
    run : Run
        What to measure.
    tell : callable
        Told the progress (0 to 1) and what is being done.
    """
    started, used = time.perf_counter(), time.process_time()
    load = os.getloadavg()[0]
    surroundings = _surroundings()  # first: what is imported now is what is measured
    if "encoder" in dict(run.changes):
        import_smp()  # once it is there, the program's own import of it works
    dataset = DATASETS[run.dataset]
    tests = truths(dataset)
    found = _untrained(tests) if run.method == "otsu_watershed" else _trained(run, tests, tell)
    tell(1.0, "scores")
    scores = scores_of(dataset, [test.labels for test in tests], found.labels)
    wall = time.perf_counter() - started
    return {
        "format": FORMAT,
        "key": run.key,
        "name": run.name,
        "run": asdict(run),
        "scores": {**scores, **found.scores},
        "seconds": round(wall, 1),
        # Who reads the result sees whether others worked too.
        "cpu_share": round((time.process_time() - used) / wall / THREADS, 3),
        "load_before": round(load, 2),
        **found.facts,
        **surroundings,
    }


def _untrained(tests: Sequence[Truth]) -> Found:
    labels = [np.stack([otsu_watershed(plane) for plane in test.image]) for test in tests]
    return Found(labels, {}, {})


def _trained(run: Run, tests: Sequence[Truth], tell: Callable[[float, str], None]) -> Found:
    images, config = training_images(run), configuration(run)
    last: TrainingReport | None = None
    for last in train(images, config):
        tell(last.progress, last.message)
    assert last is not None
    assert last.model is not None
    model = last.model
    tell(1.0, "prediction")
    started = time.perf_counter()
    labels = [_labels(model, test.image) for test in tests]
    seconds = time.perf_counter() - started
    probed = {
        name: value for probe in run.probes for name, value in PROBES[probe](model, tests).items()
    }
    facts = {
        "predicted_in": round(seconds, 2),
        "trained_in": model.provenance["seconds"],
        "data": model.provenance["data"],
        "images": model.provenance["images"],
        "validation": model.provenance["scores"],
        "scale": round(model.scale, 4),
        "cutting": dict(model.instances),
        "precision": model.provenance["precision"],
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "config": config.to_dict(),
    }
    return Found(labels, {"steps": model.provenance["steps"], **probed}, facts)


def _labels(model: TrainedModel, image: NDArray[Any]) -> NDArray[Any]:
    found = predict(model, image, device="cpu")
    return np.stack([labels_from(model, probabilities) for probabilities in found])


def scores_of(
    dataset: Dataset, truth: Sequence[NDArray[Any]], found: Sequence[NDArray[Any]]
) -> dict[str, Any]:
    """Score label images (Z, Y, X) of a set.

    Where membranes divide everything into regions, these are compared: as they are found, or the
    4-connected interiors of a network that tells interior from membrane. So both tasks have the
    same measures.
    """
    if not dataset.objects:
        truth = [split_connected(labels) for labels in truth]
    if dataset.task == "classes":
        found = [split_connected(labels) for labels in found]
    pairs = list(zip(truth, found, strict=True))
    return evaluate(pairs, task="instances", em=not dataset.objects).to_dict()


def _surroundings() -> dict[str, Any]:
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": THREADS,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("napari-unet", "torch", "numpy", "scipy")},
        },
        "commit": commit(),
        "code": code(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


class Teller:
    """Prints progress as lines of JSON, a few per second at most."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, progress: float, message: str) -> None:
        now = time.monotonic()
        if message or now - self._last > 0.5:
            self._last = now
            print(json.dumps({"progress": round(progress, 4), "message": message}), flush=True)


def main() -> None:
    """Measure the run of the first argument and write the file of the second."""
    torch.set_num_threads(THREADS)
    run, path = Run.from_json(sys.argv[1]), Path(sys.argv[2])
    try:
        result = measure(run, Teller())
    except KeyboardInterrupt:
        sys.exit(130)
    result["command"] = f"python -m benchmarks.figures --only {run.name}"
    write(path, result)


if __name__ == "__main__":
    main()
