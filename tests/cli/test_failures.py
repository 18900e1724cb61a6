"""Every error becomes one sentence that names its file once."""

from __future__ import annotations

import pytest

from napari_unet.cli.failures import Failures, Reported, sentence


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("the image\n  is empty"), "p0.tif: the image is empty"),
        (ValueError("p0.tif is empty"), "p0.tif is empty"),
        (FileNotFoundError(2, "No such file", "a.tif"), "p0.tif: a.tif: No such file"),
        (
            MemoryError(),
            "p0.tif: the memory is used up; close other programs or use smaller images",
        ),
        (KeyError("axes"), "p0.tif: KeyError: 'axes' (--debug shows where)"),
        (RuntimeError(), "p0.tif: RuntimeError: no message (--debug shows where)"),
    ],
)
def test_an_error_is_one_sentence_with_its_file(error: Exception, expected: str) -> None:
    assert sentence(error, "p0.tif") == expected


def test_without_a_failure_nothing_is_raised_and_with_one_it_is_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures = Failures(debug=False)
    failures.finish()
    failures.add(ValueError("it is empty"), "p0.tif")
    assert capsys.readouterr().err == "napari-unet: p0.tif: it is empty\n"
    with pytest.raises(Reported):
        failures.finish()
