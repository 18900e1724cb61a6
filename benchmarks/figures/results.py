"""Finished runs on disk: one JSON file each, so that an interrupted plan goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from benchmarks.figures.plan import PLAN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.figures.plan import Run

__all__ = ["FORMAT", "Results", "code", "commit", "publish", "published", "write"]

FORMAT = 1
REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "benchmarks" / "results"  # ignored by git
PUBLISHED = REPOSITORY / "docs" / "figures.json"
WEIGHTS_VARIABLE = "NAPARI_UNET_ENCODER_WEIGHTS"

_ENGINE = ("annotations", "augmentation", "evaluation", "network", "prediction", "training")
_LEFT_OUT = ("config", "load_before", "validation")  # of what the documentation keeps


class Results:
    """The finished runs of one folder.

    Parameters
    ----------
    folder : Path
        Made when the first result is written.
    same_code : bool
        Count a run only as finished if the engine was then what it is now.
    known : mapping
        Results by key that count where the folder has none: those of the documentation, which
        may be from another machine.
    """

    def __init__(
        self,
        folder: Path = FOLDER,
        *,
        same_code: bool = False,
        known: Mapping[str, dict[str, Any]] = MappingProxyType({}),
    ) -> None:
        self.folder = folder
        self.same_code = same_code
        self.known = known

    def path(self, run: Run) -> Path:
        """Return where the result of a run belongs."""
        return self.folder / f"{run.name}-{run.key}.json"

    def get(self, run: Run) -> dict[str, Any] | None:
        """Return the result of a run, or None where it is not finished."""
        try:
            result = json.loads(self.path(run).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            result = self.known.get(run.key)
        if not isinstance(result, dict) or result.get("format") != FORMAT:
            return None
        return None if self.same_code and result.get("code") != code() else result

    def all(self, runs: Iterable[Run] = PLAN) -> dict[str, dict[str, Any]]:
        """Return the finished ones of some runs, by key."""
        found = {run.key: self.get(run) for run in runs}
        return {key: result for key, result in found.items() if result is not None}


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result, indent=1), encoding="utf-8")
    partial.replace(path)


def published(path: Path = PUBLISHED) -> dict[str, dict[str, Any]]:
    """Return the results that the documentation is made from, by key."""
    if not path.exists():
        return {}
    listed = json.loads(path.read_text(encoding="utf-8"))
    return {result["key"]: result for result in listed}


def publish(
    results: Mapping[str, Mapping[str, Any]], path: Path = PUBLISHED, plan: Iterable[Run] = PLAN
) -> int:
    """Take results over into the documentation; what is not in the plan any more falls out.

    One line per run, in the order of the plan.

    Returns
    -------
    int
        How many runs of the plan the documentation now knows.
    """
    known = {**published(path), **results}
    kept = [_short(known[run.key]) for run in plan if run.key in known]
    lines = ",\n".join(json.dumps(result, ensure_ascii=False) for result in kept)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return len(kept)


def _short(result: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in result.items() if name not in _LEFT_OUT}
    scores = result["scores"].items()
    return {**kept, "scores": {name: v for name, v in scores if isinstance(v, int | float)}}


@cache
def code() -> str:
    """Return a short hash of what decides a result: the engine, not window or command line."""
    source = REPOSITORY / "src" / "napari_unet"
    digest = hashlib.sha256()
    for path in sorted(path for part in _ENGINE for path in (source / part).rglob("*.py")):
        digest.update(path.relative_to(source).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def commit() -> str | None:
    """Return the commit that is checked out, with a + if the engine differs from it."""
    found = _git("rev-parse", "--short=12", "HEAD")
    if found is None:
        return None
    return found + ("+" if _git("status", "--porcelain", "--", "src") else "")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", os.fspath(REPOSITORY), *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
