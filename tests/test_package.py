"""What importing the package does, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PAGES = "THP_MEM_ALLOC_ENABLE"


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0")])
def test_large_pages_are_asked_for_before_torch_is_there_unless_the_user_said_otherwise(
    given, expected
):
    environment = {name: value for name, value in os.environ.items() if name != PAGES}
    if given is not None:
        environment[PAGES] = given
    program = f"import os, sys, napari_unet; print(os.environ[{PAGES!r}], 'torch' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert printed.split() == [expected, "False"]


def test_a_part_that_is_named_like_a_feature_of_python_is_still_the_part():
    program = "from napari_unet import annotations; print(annotations.annotate.__name__)"
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["annotate"]
