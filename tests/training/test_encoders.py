"""Trainings whose network has an encoder from elsewhere."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_unet.augmentation import Patch
from napari_unet.evaluation import evaluate
from napari_unet.files import FileError, load_model, save_model
from napari_unet.network import EncoderUNet
from napari_unet.prediction import labels_from, predict
from napari_unet.training import TrainingConfig, TrainingError, train
from napari_unet.training.optimisation import Learner, rate_at
from tests.training.pictures import bright_discs, small

pytestmark = pytest.mark.usefixtures("loadable_torchvision")


def with_encoder(**changes) -> TrainingConfig:
    """Return a configuration of a small network around an encoder with random weights."""
    return small(**{"encoder": "resnet18", "encoder_weights": None, **changes})


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Save weights of a whole resnet18, with every value that a training could change."""
    import timm

    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    torch.manual_seed(0)
    network = timm.create_model("resnet18", pretrained=False, zero_init_last=False)
    save_file(network.state_dict(), path)  # no weight of zero keeps what is before it from learning
    return path


def _last(config, images=None):
    *_, last = train(images or [bright_discs()], config)
    return last.model


def _encoder_state(model):
    return {k: v for k, v in model.network.state_dict().items() if k.startswith("encoder.")}


def test_it_learns_and_a_loaded_model_predicts_the_same(tmp_path, monkeypatch):
    image = bright_discs(cells=7)
    config = with_encoder(steps=60, width=8, learning_rate=3e-3, validation=0.0)
    model = _last(config, [image])
    assert isinstance(model.network, EncoderUNet)
    probabilities = predict(model, image.image[0, 0])
    assert evaluate([(image.labels[0], labels_from(model, probabilities))]).ap50 > 0.5

    def refuses(*_given, **_more):
        raise AssertionError("a model file needs no hub")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuses)
    monkeypatch.setattr("huggingface_hub.file_download.hf_hub_download", refuses)
    loaded = load_model(save_model(model, tmp_path / "m.safetensors"))
    assert (predict(loaded, image.image[0, 0]) == probabilities).all()


def test_a_model_needs_its_weights_file_no_longer(tmp_path, weights):
    own = tmp_path / "own.safetensors"
    own.write_bytes(weights.read_bytes())
    model = _last(with_encoder(encoder_weights=str(own), steps=1))
    own.unlink()
    path = save_model(model, tmp_path / "m.safetensors")
    assert load_model(path).architecture == model.architecture


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoder_leaves_a_training_as_it_came(weights, frozen):
    config = with_encoder(
        encoder_weights=str(weights), freeze_encoder=frozen, averaging=0.9, encoder_rate=1.0
    )
    fresh = EncoderUNet(1, 2, encoder="resnet18", depth=2, width=4)
    fresh.load_pretrained(str(weights))
    trained = _encoder_state(_last(config))
    same = [torch.equal(trained[f"encoder.{k}"], v) for k, v in fresh.encoder.state_dict().items()]
    assert all(same) is frozen
    assert any(same) is frozen


def test_what_was_learnt_before_moves_by_its_own_share_of_the_rate(weights):
    config = with_encoder(encoder_weights=str(weights), encoder_rate=0.25)
    network = EncoderUNet(1, 2, encoder="resnet18", depth=2, width=4)
    learner = Learner(network, config, torch.device("cpu"))
    image = np.zeros((1, 48, 48), np.float32)
    patch = Patch(image, np.zeros((48, 48), np.uint8), np.ones((48, 48), np.float32))
    learner.learn([patch, patch], progress=0.5)
    rates = {
        id(parameter): group["lr"] / rate_at(0.5, config)
        for group in learner.optimiser.param_groups
        for parameter in group["params"]
    }
    assert {rates[id(parameter)] for parameter in network.encoder.parameters()} == {0.25}
    assert {rates[id(parameter)] for parameter in network.decoder.parameters()} == {1.0}
    assert len(rates) == len(list(network.parameters()))


def test_random_weights_learn_at_the_full_rate():
    network = EncoderUNet(1, 2, encoder="resnet18", depth=2, width=4)
    learner = Learner(network, with_encoder(encoder_rate=0.1), torch.device("cpu"))
    assert {group["share"] for group in learner.optimiser.param_groups} == {1.0}


def test_a_model_with_an_encoder_is_trained_further_with_other_channels(weights):
    first = _last(with_encoder(encoder_weights=str(weights), steps=2))
    grey = bright_discs(1)
    colour = replace(grey, image=np.repeat(grey.image, 3, axis=1))
    *_, last = train([colour], small(steps=2, freeze_encoder=True), start=first)
    assert last.model.architecture == {**first.architecture, "in_channels": 3}
    before, after = _encoder_state(first), _encoder_state(last.model)
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed == {"encoder.model.conv1.weight"}, "spread over the channels, else frozen"


def test_freezing_random_weights_is_refused():
    with pytest.raises(TrainingError, match="frozen but its weights are random"):
        _last(with_encoder(freeze_encoder=True))


def test_what_the_encoder_starts_from_is_said_before_the_first_step(weights):
    for source, words in ((str(weights), f"the weights in {weights}"), (None, "random weights")):
        reports = list(train([bright_discs()], with_encoder(encoder_weights=source, steps=1)))
        assert any(words in report.message for report in reports if report.phase == "preparing")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"encoder": "vgg"}, "encoder is 'vgg'; choose .*resnet18"),
        ({"depth": 0}, "with an encoder choose 1 to 5"),
        ({"network": "sliding_window"}, "'sliding_window', which has no encoder"),
        ({"padding": "valid", "patch": 572}, "an encoder needs same padding"),
    ],
)
def test_impossible_configurations_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        with_encoder(**changes)


def test_the_configuration_knows_the_tile_arithmetic_of_the_network():
    config = with_encoder(depth=3)
    architecture = config.architecture(in_channels=2, out_channels=3)
    assert config.geometry == EncoderUNet.geometry_for(architecture)
    assert config.geometry.context == 72
    assert config.input_size == 48


def test_without_the_extra_a_training_and_a_model_say_what_to_install(tmp_path, monkeypatch):
    path = save_model(_last(with_encoder(steps=1)), tmp_path / "m.safetensors")
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(TrainingError, match="pip install segmentation-models-pytorch"):
        _last(with_encoder())
    with pytest.raises(FileError, match=r"m\.safetensors cannot be used here: .*pip install"):
        load_model(path)


def test_without_a_network_a_training_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(TrainingError, match="choose a local file as encoder weights"):
        _last(with_encoder(encoder_weights="imagenet"))
