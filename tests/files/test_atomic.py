"""Writing that happens whole or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_unet.files import (
    FileError,
    save_model,
    save_recovery,
    write_labels,
    write_probabilities,
)
from napari_unet.files.atomic import writing
from napari_unet.network import ClassLabel, TrainedModel, UNet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LABELS = np.random.default_rng(0).integers(0, 60_000, (200, 200))


def model() -> TrainedModel:
    classes = (ClassLabel(0, "background"), ClassLabel(1, "cell"))
    return TrainedModel(network=UNet(depth=2, width=8), task="instances", classes=classes)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "a.tif": lambda path: write_labels(path, LABELS, overwrite=True),
    "a.zarr": lambda path: write_labels(path, LABELS, overwrite=True),
    "p.tif": lambda path: write_probabilities(path, LABELS[None], overwrite=True),
    "m.safetensors": lambda path: save_model(model(), path, overwrite=True),
    "recovery": lambda path: save_recovery(path.parent, "key", LABELS),
}
every_writer = pytest.mark.parametrize("name", WRITERS)


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write_half(path: Path, error: BaseException, *, overwrite: bool) -> None:
    with writing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(b"half")
        raise error


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse, in mid-file, what is longer: real writing that really fails."""
    resource = pytest.importorskip("resource", reason="this system sets no limit to a file's size")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@every_writer
@pytest.mark.parametrize("existing", [False, True])
def test_a_disk_that_takes_no_more_leaves_everything_as_it_was(
    tmp_path: Path, name: str, existing: bool
) -> None:
    if existing:
        WRITERS[name](tmp_path / name)
    before = content(tmp_path)
    with (
        largest_file(4096),
        pytest.raises(FileError, match=r"was not written: the disk takes no file"),
    ):
        WRITERS[name](tmp_path / name)
    assert content(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == int(existing)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EACCES, "you may not write there"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_refusal_is_a_sentence(
    tmp_path: Path, number: int, sentence: str, overwrite: bool
) -> None:
    refusal = OSError(number, os.strerror(number))
    with pytest.raises(FileError, match=rf"a\.tif was not written: {sentence}") as caught:
        write_half(tmp_path / "a.tif", refusal, overwrite=overwrite)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@every_writer
def test_a_missing_folder_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match=r"there is no folder .*missing"):
        WRITERS[name](tmp_path / "missing" / name)
    assert list(tmp_path.iterdir()) == []


@every_writer
def test_a_file_in_the_place_of_the_folder_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"precious")
    with pytest.raises(FileError, match=r"was not written"):
        WRITERS[name](tmp_path / "file" / name)
    assert content(tmp_path) == {"file": b"precious"}


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "a.tif", KeyboardInterrupt(), overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    written = writing(tmp_path / "a")
    written.__enter__().write_bytes(b"ours")
    (tmp_path / "a").write_bytes(b"theirs")
    with pytest.raises(FileError, match="exists already"):
        written.__exit__(None, None, None)
    assert content(tmp_path) == {"a": b"theirs"}


def test_an_ordinary_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "data.zarr").mkdir()
    (tmp_path / "data.zarr" / "notes.txt").write_bytes(b"precious")
    for write in (WRITERS["a.zarr"], partial(save_model, model(), overwrite=True)):
        with pytest.raises(FileError, match="it is a folder"):
            write(tmp_path / "data.zarr")
    assert content(tmp_path) == {"data.zarr/notes.txt": b"precious"}


def test_a_store_comes_back_if_it_cannot_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WRITERS["a.zarr"](tmp_path / "a.zarr")
    before = content(tmp_path)
    replace = Path.replace

    def failing(source: Path, target: Path) -> Path:
        if source.suffix == ".tmp":
            raise OSError(errno.EACCES, "refused")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(FileError, match="you may not write there"):
        WRITERS["a.zarr"](tmp_path / "a.zarr")
    assert content(tmp_path) == before


def test_what_is_flushed_may_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to flush a file that is open for reading only."""
    fcntl = pytest.importorskip("fcntl")
    modes = []

    def flushed(descriptor: int) -> None:
        modes.append(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE)

    monkeypatch.setattr(os, "fsync", flushed)
    save_model(model(), tmp_path / "m.safetensors")
    assert modes == [os.O_RDWR]
