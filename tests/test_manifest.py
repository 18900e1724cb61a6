"""napari finds the plugin: from this checkout, from a wheel, and from the source archive."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from npe2 import PluginManifest

REPOSITORY = Path(__file__).resolve().parents[1]
TOP_LEVEL = REPOSITORY / "napari.yaml"
MANIFEST = PluginManifest.from_file(TOP_LEVEL)
COMMANDS = {command.id: command for command in MANIFEST.contributions.commands or ()}


def used_commands() -> set[str]:
    """Commands that widgets, sample data, readers, writers and menus name."""
    contributions = MANIFEST.contributions
    users = [
        *(contributions.widgets or ()),
        *(contributions.sample_data or ()),
        *(contributions.readers or ()),
        *(contributions.writers or ()),
        *(item for items in (contributions.menus or {}).values() for item in items),
    ]
    return {user.command for user in users if getattr(user, "command", None)}


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the source archive, and from that the wheel, as a release does."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*command, str(REPOSITORY)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def test_npe2_finds_the_installed_plugin() -> None:
    assert PluginManifest.from_distribution("napari-unet").name == "napari-unet"


def test_installed_manifest_equals_the_top_level_one() -> None:
    spec = find_spec("napari_unet_manifest")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    installed = Path(next(iter(spec.submodule_search_locations)), "napari.yaml")
    assert installed.read_bytes() == TOP_LEVEL.read_bytes(), (
        "the editable install holds an older napari.yaml; run `pip install -e . --no-deps`"
    )


def test_manifest_offers_widgets_and_sample_data() -> None:
    assert MANIFEST.contributions.widgets
    assert MANIFEST.contributions.sample_data


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_can_be_imported(command: str) -> None:
    module, _, name = str(COMMANDS[command].python_name).partition(":")
    assert callable(getattr(import_module(module), name))


def test_every_command_that_is_used_is_declared_and_the_other_way_round() -> None:
    assert used_commands() == set(COMMANDS)


def test_source_archive_contains_the_manifest(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"napari.yaml", "LICENSE", "constraints.txt", "src/napari_unet/py.typed"} <= names


def test_npe2_finds_the_plugin_in_the_wheel(archives: tuple[Path, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(archives[1]) as wheel:
        wheel.extractall(tmp_path)
    assert (tmp_path / "napari_unet" / "py.typed").is_file()
    program = (
        "from importlib.metadata import distribution\n"
        "from npe2 import PluginManifest\n"
        "print(distribution('napari-unet').locate_file('').absolute())\n"
        "manifest = PluginManifest.from_distribution('napari-unet')\n"
        "print(*sorted(command.id for command in manifest.contributions.commands))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    location, commands = done.stdout.splitlines()
    assert Path(location) == tmp_path
    assert commands.split() == sorted(COMMANDS)
