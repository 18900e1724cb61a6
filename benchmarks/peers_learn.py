"""Train peers as long as our preset, on the same images, and score all by the same measures.

    python -m benchmarks.peers_learn --minutes 3
    python -m benchmarks.peers_learn --minutes 0.2 --sets dic --peers monai ours

One after the other, on the CPU with two threads, from random weights. MONAI, segmentation-models-
pytorch and scikit-learn come with ``pip install -e ".[bench]"``; Cellpose 3 is installed by hand.
What is missing is left out with a word. docs/benchmarks.md says what is unfair, and to whom.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skimage.feature import multiscale_basic_features

from benchmarks.figures.images import Truth, training_images, truths
from benchmarks.figures.measuring import configuration
from benchmarks.figures.plan import DATASETS, THREADS, Run
from benchmarks.peers import sliding_window, smp_unet
from benchmarks.recipe import learn
from napari_unet.annotations import instance_target, split_connected
from napari_unet.evaluation import evaluate
from napari_unet.prediction import instances, labels_from, predict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from napari_unet.annotations import AnnotatedImage

    Images = Sequence[AnnotatedImage]
    Segment = Callable[[Truth], NDArray[Any]]  # to cells (Y, X)

PATCH, BATCH, RATE = 224, 4, 1e-3
PERCENTILES = (1, 99)
CERTAIN = 20.0  # a logit that leaves nothing to learn
PIXELS, TREES = 300_000, 100  # of the random forest
EPOCH_BATCH, FEWEST = 8, 5  # Cellpose's own: patches per step, cells of an image that it takes

COLUMNS = ("ap50", "seg", "rand_error", "pixel_error")
HEAD = (
    "| set | peer | steps | training, all in all | prediction "
    "| AP50 | SEG | adapted Rand error | pixel error |\n|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, eq=False)
class Learnt:
    """What a peer learnt.

    Parameters
    ----------
    steps : int
        Taken by the optimiser; the trees of a forest.
    ways : mapping of str to callable
        How it finds cells, by what is special; the usual way has an empty name.
    """

    steps: int
    ways: Mapping[str, Segment]


def ours(run: Run, images: Images) -> Learnt:
    """Train the preset as the figures do."""
    model = learn(images, configuration(run))

    def segment(truth: Truth) -> NDArray[Any]:
        return labels_from(model, predict(model, truth.image, device="cpu")[0])

    return Learnt(model.provenance["steps"], {"": segment})


def basic_unet(run: Run, images: Images) -> Learnt:
    """Train MONAI's BasicUNet as it comes."""
    from monai.networks.nets import BasicUNet

    return by_patches(BasicUNet(2, in_channels=1, out_channels=2), run, images)


def resnet_unet(run: Run, images: Images) -> Learnt:
    """Train the Unet of segmentation-models-pytorch with a ResNet-18."""
    return by_patches(smp_unet(), run, images)


def by_patches(network: nn.Module, run: Run, images: Images) -> Learnt:
    """Train as the tutorials of both do: random patches, Adam, Dice and cross-entropy."""
    from monai.losses import DiceCELoss

    until = deadline(run)
    rng = np.random.default_rng(run.seed)
    prepared = [prepare(image) for image in images]
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True)
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    right = torch.tensor([CERTAIN, -CERTAIN]).view(1, 2, 1, 1)
    network.train()
    steps = 0
    while time.perf_counter() < until:
        drawn = rng.integers(len(prepared), size=BATCH)
        batch = torch.from_numpy(np.stack([patch(prepared[each], rng) for each in drawn]))
        pixels, target, counts = batch.split(1, dim=1)
        # What nobody annotated is background that the network knows already.
        logits = torch.where(counts > 0, network(pixels), right)
        loss = loss_of(logits, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    network.eval()

    def segment(truth: Truth) -> NDArray[Any]:
        pixels = torch.from_numpy(scaled(truth.image[0, 0]))[None, None]
        with torch.inference_mode():
            probabilities = sliding_window(network, pixels, PATCH)[0].softmax(dim=0)
        return instances(probabilities.numpy())

    return Learnt(steps, {"": segment})


def forest(run: Run, images: Images) -> Learnt:
    """Grow a random forest on multi-scale features of pixels, as ilastik's pixel classification."""
    from sklearn.ensemble import RandomForestClassifier

    until = deadline(run)
    rng = np.random.default_rng(run.seed)
    features, inside = [], []
    for image in images:
        pixels, target, counts = prepare(image)
        counted = np.flatnonzero(counts)
        drawn = rng.permutation(counted)[: PIXELS // len(images)]
        features.append(pixel_features(pixels)[drawn])
        inside.append(target.ravel()[drawn])
    known, right = np.concatenate(features), np.concatenate(inside)
    trees = RandomForestClassifier(
        THREADS, warm_start=True, n_jobs=THREADS, random_state=run.seed
    ).fit(known, right)
    while time.perf_counter() < until and trees.n_estimators < TREES:
        trees.n_estimators += THREADS
        trees.fit(known, right)

    def segment(truth: Truth) -> NDArray[Any]:
        pixels = scaled(truth.image[0, 0])
        probabilities = trees.predict_proba(pixel_features(pixels))
        return instances(probabilities.T.reshape(-1, *pixels.shape))

    return Learnt(trees.n_estimators, {"": segment})


def cellpose(run: Run, images: Images) -> Learnt:
    """Train Cellpose 3 by its own defaults, for as many epochs as the minutes hold.

    Its learning rate follows the number of epochs, so this must be known before: a few steps of
    another network are timed first. Neither they nor the flows, computed once, count as minutes.
    """
    from cellpose.dynamics import labels_to_flows
    from cellpose.models import CellposeModel
    from cellpose.train import train_seg
    from cellpose.utils import diameters

    pixels = [image.image[0, 0] for image in images]
    masks = [image.labels[0].copy() for image in images]  # a copy: it numbers them anew
    flows = labels_to_flows(masks, device=torch.device("cpu"))
    gray = [0, 0]  # its name for: one channel and no other

    def trained(epochs: int, **options: Any) -> CellposeModel:
        model = CellposeModel(gpu=False, pretrained_model=False)
        model.net.mkldnn = False  # which is for prediction only
        with tempfile.TemporaryDirectory() as folder:
            options["save_path"] = folder
            train_seg(model.net, pixels, flows, channels=gray, n_epochs=epochs, **options)
        model.net.mkldnn = model.mkldnn
        return model

    trained(1, nimg_per_epoch=EPOCH_BATCH)  # the first step compiles
    started = time.perf_counter()
    trained(2, nimg_per_epoch=EPOCH_BATCH)
    seconds_each = (time.perf_counter() - started) / (2 * EPOCH_BATCH)
    taken = sum(len(np.unique(image.labels)) > FEWEST for image in images)
    epochs = max(1, round(60 * run.minutes / (taken * seconds_each)))
    torch.manual_seed(run.seed)
    model = trained(epochs)

    def segment(truth: Truth, diameter: float) -> NDArray[Any]:
        cells: NDArray[Any] = model.eval(truth.image[0, 0], channels=gray, diameter=diameter)[0]
        return cells

    usual = model.net.diam_labels.item()  # of the cells that were learnt from
    return Learnt(
        epochs * -(-taken // EPOCH_BATCH),
        {
            "": lambda truth: segment(truth, usual),
            ", told each image's true diameter": lambda truth: segment(
                truth, diameters(truth.labels[0])[0]
            ),
        },
    )


PEERS: Mapping[str, tuple[str, Callable[[Run, Images], Learnt]]] = {
    "monai": ("MONAI BasicUNet", basic_unet),
    "smp": ("smp Unet, ResNet-18", resnet_unet),
    "forest": ("random forest", forest),
    "cellpose": ("Cellpose 3, from scratch", cellpose),
    "ours": ("napari-unet, `quick`", ours),
}


def deadline(run: Run) -> float:
    """Return when a training that begins now has to end."""
    return time.perf_counter() + 60 * run.minutes


def scaled(image: NDArray[Any]) -> NDArray[np.float32]:
    """Bring an image (Y, X) between its own percentiles."""
    low, high = np.percentile(image, PERCENTILES)
    return np.asarray((image - low) / max(high - low, 1), np.float32)


def prepare(image: AnnotatedImage) -> NDArray[np.float32]:
    """Stack (3, Y, X) the scaled image, the cells with gaps between them, and where they count."""
    counts = image.annotated[0]
    target = instance_target(image.labels[0]) * counts
    return np.stack([scaled(image.image[0, 0]), target, counts]).astype(np.float32)


def patch(prepared: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a part in which something counts, turned and mirrored at random."""
    drawn = np.zeros_like(prepared)
    while not drawn[2].any():
        y, x = (rng.integers(side - PATCH + 1) for side in prepared.shape[1:])
        drawn = prepared[:, y : y + PATCH, x : x + PATCH]
    turned = np.rot90(drawn, int(rng.integers(4)), axes=(1, 2))
    return np.ascontiguousarray(turned[:, ::-1] if rng.integers(2) else turned)


def pixel_features(image: NDArray[np.float32]) -> NDArray[Any]:
    """Return intensity, edges and texture at several scales for every pixel (Y * X, features)."""
    found: NDArray[Any] = multiscale_basic_features(image, workers=THREADS)
    return found.reshape(-1, found.shape[-1])


def cells_of(truth: Truth, dataset: str) -> Truth:
    """Give numbers to the regions between membranes; cells have theirs."""
    if DATASETS[dataset].objects:
        return truth
    return Truth(truth.image, split_connected(truth.labels))


def measure(title: str, peer: Callable[[Run, Images], Learnt], run: Run) -> None:
    """Train a peer and print one row for each of its ways."""
    images = training_images(run)
    tests = [cells_of(truth, run.dataset) for truth in truths(DATASETS[run.dataset])]
    torch.set_num_threads(THREADS)
    torch.manual_seed(run.seed)
    started = time.perf_counter()
    learnt = peer(run, images)
    trained = time.perf_counter() - started
    for name, segment in learnt.ways.items():
        started = time.perf_counter()
        found = [segment(test)[None] for test in tests]
        predicted = time.perf_counter() - started
        pairs = [(test.labels, labels) for test, labels in zip(tests, found, strict=True)]
        scores = evaluate(pairs).to_dict()
        shown = " | ".join(f"{scores[column]:.3f}" for column in COLUMNS)
        print(
            f"| {run.dataset} | {title}{name} | {learnt.steps} | {trained:.0f} s "
            f"| {predicted:.1f} s | {shown} |",
            flush=True,
        )


def main() -> None:
    """Read the command line and measure one peer after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="for each training")
    parser.add_argument("--sets", nargs="+", choices=list(DATASETS), default=list(DATASETS))
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(HEAD, flush=True)
    for dataset in chosen.sets:
        run = Run(dataset=dataset, minutes=chosen.minutes, seed=chosen.seed)
        for name in chosen.peers:
            title, peer = PEERS[name]
            try:
                measure(title, peer, run)
            except ImportError as missing:
                print(f"{title} is left out: {missing}", flush=True)


if __name__ == "__main__":
    main()
