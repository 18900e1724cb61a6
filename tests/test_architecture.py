"""The architecture as tests: what may be imported where, and what no file may do."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
FILES = sorted((SOURCE / "napari_unet").rglob("*.py"))
VIEWER = {"magicgui", "napari", "pyqtgraph", "qtpy", "superqt", "vispy"}
BINDINGS = {"PyQt5", "PyQt6", "PySide2", "PySide6"}

# Every error crosses one of these two borders; nowhere else is everything caught.
CATCHES_ALL = ("gui/jobs.py", "cli/")


def inside(path: Path) -> str:
    return path.relative_to(SOURCE / "napari_unet").as_posix()


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_after(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter holds after a statement."""
    program = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def calls(source: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]


def is_true(call: ast.Call, keyword: str) -> bool:
    values = [given.value for given in call.keywords if given.arg == keyword]
    return any(isinstance(value, ast.Constant) and value.value is True for value in values)


def imported_modules(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not names_an_error(node):
            names.add(node.module.partition(".")[0])
    return names


def names_an_error(node: ast.ImportFrom) -> bool:
    """Whether only pickle's error is imported, to be caught: torch.load raises it."""
    return node.module == "pickle" and {alias.name for alias in node.names} == {"UnpicklingError"}


def unsafe_loads(source: str) -> list[str]:
    """List what in this source could run a stranger's code while opening a file."""
    found = sorted(imported_modules(source) & {"pickle", "dill", "joblib", "cloudpickle", "shelve"})
    for call in calls(source):
        name = ast.unparse(call.func)
        unsafe_torch = name == "torch.load" and not is_true(call, "weights_only")
        if unsafe_torch or is_true(call, "allow_pickle"):
            found.append(ast.unparse(call))
    return found


def catches_everything(source: str) -> bool:
    handlers = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ExceptHandler)]
    caught = [ast.unparse(handler.type) if handler.type else "bare" for handler in handlers]
    return any(re.search(r"\b(bare|Exception|BaseException)\b", name) for name in caught)


def test_engine_and_command_line_import_without_qt_and_napari() -> None:
    engine = [module_name(path) for path in FILES if not inside(path).startswith("gui/")]
    assert len(engine) > 5
    loaded = modules_after(f"import {', '.join(engine)}")
    assert not loaded & (VIEWER | BINDINGS)


def test_importing_the_package_alone_does_not_load_torch() -> None:
    assert "torch" not in modules_after("import napari_unet")


def test_only_gui_and_command_line_name_the_viewer() -> None:
    engine = [path for path in FILES if not inside(path).startswith(("gui/", "cli/"))]
    assert not [inside(path) for path in engine if imported_modules(read(path)) & VIEWER]


def test_no_file_names_a_qt_binding_but_to_install_it() -> None:
    named = re.compile(r"(?<!pip install )\bPy(Qt|Side)\d")
    assert not [inside(path) for path in FILES if named.search(read(path))]


def test_no_file_is_opened_by_running_what_it_contains() -> None:
    assert not {inside(path): found for path in FILES if (found := unsafe_loads(read(path)))}


def test_everything_is_caught_only_at_the_two_borders() -> None:
    inner = [path for path in FILES if not inside(path).startswith(CATCHES_ALL)]
    assert not [inside(path) for path in inner if catches_everything(read(path))]


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import UnpicklingError, loads",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_unsafe_loads_are_seen(source: str) -> None:
    assert unsafe_loads(source)


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=False)",
        "from pickle import UnpicklingError",
    ],
)
def test_safe_loads_pass(source: str) -> None:
    assert not unsafe_loads(source)


@pytest.mark.parametrize("caught", ["", " Exception", " (OSError, Exception)", " BaseException"])
def test_broad_handlers_are_seen(caught: str) -> None:
    assert catches_everything(f"try:\n    f()\nexcept{caught}:\n    pass")


def test_narrow_handlers_pass() -> None:
    assert not catches_everything("try:\n    f()\nexcept (OSError, ValueError):\n    pass")


def test_roles_and_metadata_of_layers_stand_in_one_file() -> None:
    # Elsewhere in the window `metadata` is that of a dataclass's field.
    known = re.compile(r"""\b(layer|labels|image|found|made|other)\.metadata\b|"prediction\"""")
    naming = [
        path for path in FILES if inside(path).startswith("gui/") and known.search(read(path))
    ]
    assert [inside(path) for path in naming] == ["gui/layers/tags.py"]
