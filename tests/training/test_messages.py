"""What a training says is true, and it says nothing where there is nothing to say."""

from __future__ import annotations

import pytest
import torch

from napari_unet.network.encoder_weights import HUB
from napari_unet.training.messages import (
    encoder_message,
    hardly_learnt_message,
    no_step_message,
    no_validation_message,
    pixel_message,
    scale_message,
    start_message,
    stopped_early,
    trained_message,
)


@pytest.mark.parametrize(("scale", "said"), [(1, "full resolution"), (0.5, "at 0.5 of their size")])
def test_the_working_scale_is_said(scale, said):
    assert said in scale_message(scale)


@pytest.mark.parametrize("sizes", [[], [None], [0.5, 0.5], [None, 0.5]])
def test_images_of_one_pixel_size_need_no_word(sizes):
    assert pixel_message(sizes, 0.5) == ""


def test_images_of_several_pixel_sizes_are_told_with_the_one_they_come_to():
    said = pixel_message([0.5, None, 0.25], 0.25)
    assert "0.25 to 0.5 µm" in said
    assert said.endswith("as if all had 0.25 µm")


def test_the_model_that_is_gone_on_from_is_named_with_what_is_new():
    assert start_message("nuclei", "") == "Goes on from nuclei"
    assert (
        start_message("nuclei", "a new last layer") == "Goes on from nuclei with a new last layer"
    )


@pytest.mark.parametrize(
    ("weights", "said"),
    [(None, "random weights"), (HUB, "downloaded"), ("a.safetensors", "weights in a.safetensors")],
)
def test_an_encoder_says_what_it_starts_from(weights, said):
    assert said in encoder_message("resnet18", weights)


def test_nothing_kept_back_has_a_reason():
    assert no_validation_message(0, "classes").startswith("Nothing is kept back")
    assert no_validation_message(0.1, "instances").startswith("Too few cells")
    assert "every class" in no_validation_message(0.1, "classes")
    assert "class" not in no_validation_message(0.1, "regression")


def test_without_a_step_it_was_stopped_or_the_time_was_over():
    assert no_step_message(75, stopped=True).startswith("stopped")
    assert "took 1 min 15 s" in no_step_message(75, stopped=False)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(), MemoryError()])
def test_used_up_memory_is_said_in_words(error):
    assert "the memory is used up" in stopped_early(error)


def test_another_error_is_told_as_it_is():
    assert "the loss is no number" in stopped_early(FloatingPointError("the loss is no number"))


@pytest.mark.parametrize(("seconds", "said"), [(4.4, "in 4 s"), (59.9, "in 1 min 00 s")])
def test_how_long_it_took_is_said_in_minutes_and_seconds(seconds, said):
    assert trained_message(7, seconds) == f"Trained for 7 steps {said}"


def test_one_step_is_one():
    assert trained_message(1, 9) == "Trained for 1 step in 9 s"


@pytest.mark.parametrize(("score", "told"), [(None, False), (0.05, True), (0.1, False)])
def test_a_network_that_finds_hardly_anything_says_what_to_do(score, told):
    message = hardly_learnt_message(score)
    assert bool(message) == told
    assert not told or ("0.05" in message and "minutes" in message)
