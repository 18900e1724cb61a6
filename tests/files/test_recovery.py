"""Recovery files."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_unet.files import (
    FileError,
    RecoveryList,
    discard_recovery,
    list_recoveries,
    load_recovery,
    recovery_folder,
    save_recovery,
)
from napari_unet.files.recovery import in_use, release_recovery, remove_recovery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LABELS = np.random.default_rng(0).integers(0, 5, (3, 20, 20))
KEYS = ["image", "/data/a b/ü.tif", "../../escape", "x" * 5000, ""]


@pytest.mark.parametrize("key", KEYS)
def test_what_is_saved_comes_back(tmp_path: Path, key: str) -> None:
    arrays = {"region 0": np.random.default_rng(1).random((4, 3)), "complete": np.array([True])}
    facts = {"layer": "cells", "scale": [1.0, 0.5]}
    path = save_recovery(tmp_path, key, LABELS, arrays=arrays, facts=facts)
    assert path.parent == tmp_path
    found = load_recovery(tmp_path, key)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found.labels.dtype == LABELS.dtype
    assert found.facts == facts
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def test_a_key_has_one_file_and_keys_do_not_mix(tmp_path: Path) -> None:
    save_recovery(tmp_path, "a", LABELS)
    save_recovery(tmp_path, "a", LABELS + 1)
    save_recovery(tmp_path, "b", LABELS)
    np.testing.assert_array_equal(load_recovery(tmp_path, "a").labels, LABELS + 1)
    assert sorted(entry.key for entry in list_recoveries(tmp_path).entries) == ["a", "b"]
    assert len(list(tmp_path.iterdir())) == 2


def test_the_list_has_the_newest_first_and_says_when(tmp_path: Path) -> None:
    for key in "abc":
        save_recovery(tmp_path, key, LABELS, facts={"layer": key})
    entries = list_recoveries(tmp_path).entries
    assert [entry.key for entry in entries] == ["c", "b", "a"]
    assert entries[0].facts == {"layer": "c"}
    assert datetime.now(UTC) - entries[0].saved < timedelta(minutes=5)


def test_a_removed_file_is_gone_and_may_be_gone_already(tmp_path: Path) -> None:
    save_recovery(tmp_path, "a", LABELS)
    remove_recovery(tmp_path, "a")
    remove_recovery(tmp_path, "a")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileError, match="no such file"):
        load_recovery(tmp_path, "a")


def test_a_discarded_file_is_not_listed_and_comes_back_when_it_is_moved(tmp_path: Path) -> None:
    path = save_recovery(tmp_path, "a", LABELS)
    kept = discard_recovery(tmp_path, "a")
    assert discard_recovery(tmp_path, "a") is None
    assert list_recoveries(tmp_path) == RecoveryList((), ())
    assert kept is not None
    assert kept.parent == tmp_path / "discarded"
    kept.rename(path)
    np.testing.assert_array_equal(load_recovery(tmp_path, "a").labels, LABELS)


def test_what_was_discarded_is_kept_for_thirty_days(tmp_path: Path) -> None:
    def discard(key: str, days: float) -> Path:
        kept = discard_recovery(tmp_path, key)
        assert kept is not None
        then = time.time() - days * 24 * 3600
        os.utime(kept, (then, then))
        return kept

    for key in "abc":
        saved = save_recovery(tmp_path, key, LABELS)
        os.utime(saved, (0, 0))  # it counts from when it was discarded
    recent, old, last = discard("a", 29), discard("b", 31), discard("c", 0)
    assert sorted(tmp_path.glob("discarded/*")) == sorted([recent, last])
    assert not old.exists()


@pytest.mark.parametrize("content", [b"", b"PK\3\4nonsense", b"\x93NUMPY", b"\x80\x04N."])
def test_a_corrupt_file_is_a_problem_beside_the_good_ones(tmp_path: Path, content: bytes) -> None:
    save_recovery(tmp_path, "good", LABELS)
    path = save_recovery(tmp_path, "bad", LABELS)
    path.write_bytes(content)
    found = list_recoveries(tmp_path)
    assert [entry.key for entry in found.entries] == ["good"]
    assert [problem.path for problem in found.problems] == [path]
    assert str(path) in found.problems[0].message
    with pytest.raises(FileError):
        load_recovery(tmp_path, "bad")


def test_a_cut_off_file_is_a_problem(tmp_path: Path) -> None:
    path = save_recovery(tmp_path, "a", LABELS)
    content = path.read_bytes()
    for size in range(0, len(content), 101):
        path.write_bytes(content[:size])
        assert len(list_recoveries(tmp_path).problems) == 1


def test_objects_are_neither_stored_nor_read(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    with pytest.raises(ValueError, match="objects"):
        save_recovery(tmp_path, "a", LABELS, arrays={"odd": objects})
    path = save_recovery(tmp_path, "a", LABELS)
    header = np.array(json.dumps({"key": "a", "saved": "2026-01-01", "facts": {}}))
    np.savez(path, header=header, labels=objects)
    with pytest.raises(FileError, match="damaged"):
        load_recovery(tmp_path, "a")


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"mine")
    (tmp_path / ".half.tmp").write_bytes(b"half")
    found = list_recoveries(tmp_path)
    assert (found.entries, found.problems) == ((), ())
    assert list_recoveries(tmp_path / "missing").entries == ()


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path / "home"))
    assert recovery_folder() == tmp_path / "home" / "recovery"
    assert recovery_folder().is_dir()


def test_a_folder_that_cannot_be_made_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path / "file"))
    with pytest.raises(FileError, match="cannot be made"):
        recovery_folder()


SAVE_AND_LIVE_ON = """
import sys, time, numpy
from napari_unet.files.recovery import save_recovery
save_recovery(sys.argv[1], "a", numpy.ones((3, 20, 20), int))
print("saved", flush=True)
time.sleep(100)
"""


@pytest.fixture
def living(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that has saved a file and goes on."""
    program = [sys.executable, "-c", SAVE_AND_LIVE_ON, str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "saved\n"
        yield process
        process.kill()


def test_a_file_is_in_use_while_the_process_that_saved_it_lives(
    tmp_path: Path, living: subprocess.Popen[str]
) -> None:
    (entry,) = list_recoveries(tmp_path).entries
    assert entry.process == living.pid
    assert entry.started is not None
    assert in_use(entry)
    assert not in_use(replace(entry, started=entry.started - 3600)), "another has its number now"
    living.kill()
    # It has ended, but its parent, this process, has not asked for its end yet.
    until = time.monotonic() + 10
    while in_use(entry) and time.monotonic() < until:
        time.sleep(0.05)
    assert not in_use(entry)
    living.wait()
    assert not in_use(entry)


def test_files_of_this_process_and_of_older_versions_are_not_in_use(tmp_path: Path) -> None:
    path = save_recovery(tmp_path, "a", LABELS)
    (entry,) = list_recoveries(tmp_path).entries
    assert entry.process == os.getpid()
    assert not in_use(entry)
    header = json.dumps({"key": "a", "saved": "2026-01-01T00:00:00+00:00", "facts": {"cells": 4}})
    np.savez_compressed(path, header=np.array(header), labels=LABELS)
    (entry,) = list_recoveries(tmp_path).entries
    assert (entry.process, entry.started, entry.facts) == (None, None, {"cells": 4})
    assert not in_use(entry)


def test_a_file_stays_in_use_when_the_network_names_the_computer_anew(
    tmp_path: Path, living: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: "another.name")
    (entry,) = list_recoveries(tmp_path).entries
    assert in_use(entry)


def test_a_released_file_is_in_nobody_s_use_and_holds_the_same(
    tmp_path: Path, living: subprocess.Popen[str]
) -> None:
    (before,) = list_recoveries(tmp_path).entries
    release_recovery(tmp_path, "a")
    (entry,) = list_recoveries(tmp_path).entries
    assert not in_use(entry)
    assert replace(before, process=None) == entry
    np.testing.assert_array_equal(load_recovery(tmp_path, "a").labels, np.ones((3, 20, 20)))
    release_recovery(tmp_path, "what is not there")
    assert len(list_recoveries(tmp_path).entries) == 1


def test_one_damaged_file_hides_no_other(tmp_path: Path) -> None:
    good = save_recovery(tmp_path, "good", LABELS)
    odd = save_recovery(tmp_path, "odd", LABELS)
    with np.load(odd) as file:
        stored = dict(file)
    header = json.loads(str(stored["header"]))
    stored["header"] = np.array(json.dumps({**header, "saved": "2026-01-01T00:00:00"}))
    np.savez_compressed(odd, **stored)
    broken = tmp_path / "broken.npz"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("header.npy", b"\x93NUMPY\x01\x00\x0c\x00{'descr': (((\n")
    found = list_recoveries(tmp_path)
    assert [entry.path for entry in found.entries] == [good]
    assert {problem.path for problem in found.problems} == {odd, broken}
