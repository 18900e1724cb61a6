"""What an encoder learnt elsewhere, from files as other programs leave them; never unpickled."""

from __future__ import annotations

import pickle

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import save_file

from napari_unet.files import save_model
from napari_unet.network import ClassLabel, EncoderError, EncoderUNet, Ensemble, TrainedModel

pytestmark = pytest.mark.usefixtures("loadable_torchvision")
FAMILIES = ["resnet18", "resnext50_32x4d", "efficientnet_b0", "densenet121"]


def classifier(name: str, seed: int = 0):
    """Return timm's whole classification network with random weights and lively statistics."""
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = timm.create_model(name, pretrained=False, num_classes=10)
        for key, value in made.state_dict().items():
            if key.endswith("running_mean"):
                value.normal_(std=0.1)
            elif key.endswith("running_var"):
                value.uniform_(0.5, 1.5)
    return made.eval()


def features(made, name: str, image: torch.Tensor, depth: int) -> list[torch.Tensor]:
    """Return what a whole classification network computes where its maps are halved."""
    import timm

    seen = []
    places = timm.create_model(name, features_only=True).feature_info.module_name()[:depth]
    hooks = [
        made.get_submodule(place).register_forward_hook(lambda _m, _i, out: seen.append(out))
        for place in places
    ]
    with torch.no_grad():
        made(image)
    for hook in hooks:
        hook.remove()
    return seen


def loaded(path, name: str, channels: int = 3, depth: int = 3) -> EncoderUNet:
    network = EncoderUNet(channels, encoder=name, depth=depth).eval()
    network.load_pretrained(str(path))
    return network


def same(first, second) -> bool:
    return len(first) == len(second) and all(
        torch.allclose(a, b, atol=1e-4, rtol=1e-4) for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_the_features_are_those_of_the_network_that_learnt_them(tmp_path, name, ending):
    made = classifier(name)
    path = tmp_path / f"weights.{ending}"
    if ending == "safetensors":
        save_file(made.state_dict(), path)
    else:
        torch.save(made.state_dict(), path)
    image = torch.randn(1, 3, 32, 32)
    encoder = loaded(path, name).encoder
    with torch.no_grad():
        assert same(encoder(image)[1:], features(made, name, image, depth=3))


@pytest.mark.parametrize("channels", [1, 6])
def test_a_grey_image_is_seen_as_its_copy_in_red_green_and_blue(tmp_path, channels):
    path = tmp_path / "weights.pth"
    torch.save(classifier("resnet18").state_dict(), path)
    grey = torch.rand(1, 1, 32, 32)
    few, rgb = (
        loaded(path, "resnet18", channels=n).encoder(grey.expand(1, n, -1, -1))[1:]
        for n in (channels, 3)
    )
    assert same(few, rgb)


def test_more_channels_are_read_as_strongly_as_three(tmp_path):
    path = tmp_path / "weights.pth"
    made = classifier("resnet18")
    torch.save(made.state_dict(), path)
    for channels in (2, 5):
        stem = loaded(path, "resnet18", channels=channels).encoder.state_dict()[
            "model.conv1.weight"
        ]
        assert stem.shape[1] == channels
        for channel in range(channels):
            expected = made.conv1.weight[:, channel % 3] * 3 / channels
            assert torch.allclose(stem[:, channel], expected)


def _old_names(state):
    """Write what torchvision's first DenseNets wrote."""
    changed = {}
    for key, value in state.items():
        for kind in ("norm", "conv"):
            for number in "12":
                if "denselayer" in key:
                    key = key.replace(f".{kind}{number}.", f".{kind}.{number}.")
        changed[key] = value
    return changed


def test_files_of_torchvision_load(tmp_path):
    import torchvision

    image = torch.randn(1, 3, 32, 32)
    for name, new in (("resnet18", False), ("densenet121", False), ("densenet121", True)):
        made = torchvision.models.get_model(name).eval()
        path = tmp_path / f"{name}.pth"
        torch.save(_old_names(made.state_dict()) if new else made.state_dict(), path)
        ours = loaded(path, name, depth=2).encoder
        with torch.no_grad():
            places = features_of_torchvision(made, name, image)
            assert same(ours(image)[1:2], places), name


def features_of_torchvision(made, name: str, image):
    if name == "resnet18":
        return [made.relu(made.bn1(made.conv1(image)))]
    return [made.features.relu0(made.features.norm0(made.features.conv0(image)))]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {f"encoder.model.{key}": value for key, value in state.items()},
        lambda state: {"epoch": 3, "state_dict": state},
        lambda state: {"model": {f"backbone.{key}": value for key, value in state.items()}},
        lambda state: {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")},
        lambda state: {key: value.half() for key, value in state.items()},
    ],
    ids=["parallel", "segmentation", "checkpoint", "nested", "old", "half"],
)
def test_files_as_other_programs_leave_them(tmp_path, wrap):
    made = classifier("resnet18")
    path = tmp_path / "weights.pth"
    torch.save(wrap(made.state_dict()), path)
    stem = loaded(path, "resnet18").encoder.state_dict()["model.layer1.1.conv2.weight"]
    assert torch.allclose(stem, made.layer1[1].conv2.weight, atol=1e-3)


def test_the_encoder_of_a_saved_model_serves_another(tmp_path):
    first = EncoderUNet(encoder="resnet18", depth=2).eval()
    classes = (ClassLabel(0, "background"), ClassLabel(1, "cell"))
    model = TrainedModel(network=first, task="instances", classes=classes)
    path = save_model(model, tmp_path / "first.safetensors")
    second = loaded(path, "resnet18", channels=1, depth=2)
    image = torch.rand(1, 1, 16, 16)
    assert same(second.encoder(image), first.encoder(image))
    assert not torch.equal(second.classify.weight, first.classify.weight)


def test_the_first_encoder_of_a_saved_ensemble_serves_another(tmp_path):
    networks = [EncoderUNet(encoder="resnet18", depth=2).eval() for _ in range(2)]
    classes = (ClassLabel(0, "background"), ClassLabel(1, "cell"))
    model = TrainedModel(network=Ensemble(networks), task="instances", classes=classes)
    path = save_model(model, tmp_path / "two.safetensors")
    image = torch.rand(1, 1, 16, 16)
    second = loaded(path, "resnet18", channels=1, depth=2)
    assert same(second.encoder(image), networks[0].encoder(image))


class _Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('this file was run')",))


def _write(path, what):
    if what == "code":
        path.write_bytes(pickle.dumps({"conv1.weight": _Evil()}, protocol=2))
    elif what == "code in a torch file":
        torch.save({"conv1.weight": _Evil()}, path)
    elif what == "words":
        path.write_text("not weights")
    elif what == "a list":
        torch.save([torch.zeros(3)], path)
    elif what == "nothing":
        path.write_bytes(b"")


@pytest.mark.parametrize("what", ["code", "code in a torch file", "words", "a list", "nothing"])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_what_is_no_file_of_tensors_is_refused_and_never_run(tmp_path, what, ending):
    path = tmp_path / f"weights.{ending}"
    _write(path, what)
    with pytest.raises(EncoderError, match=r"is no file of tensors.*give a safetensors file"):
        loaded(path, "resnet18", depth=1)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "old"])
def test_a_file_that_was_cut_off_is_refused_in_a_sentence(tmp_path, kind):
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    state = {f"conv{number}.weight": torch.rand(8, 3, 3, 3) for number in range(4)}
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    network = EncoderUNet(3, encoder="resnet18", depth=1)
    for size in [*range(0, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(EncoderError, match=r"no file of tensors.*give a safetensors") as caught:
            network.load_pretrained(str(path))
        assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    for ending in ("pth", "safetensors"):
        path = tmp_path / f"weights.{ending}"
        with pytest.raises(EncoderError, match=rf"weights\.{ending} cannot be read"):
            loaded(path, "resnet18", depth=1)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(classifier("resnet18").state_dict(), path)
    with pytest.raises(EncoderError, match="does not hold the weights of resnet34"):
        loaded(path, "resnet34")
    with pytest.raises(EncoderError, match="the file that belongs to efficientnet_b0"):
        loaded(path, "efficientnet_b0", depth=2)


@pytest.mark.parametrize(
    ("larger", "smaller"),
    [("resnet34", "resnet18"), ("resnet101", "resnet50"), ("efficientnet_b1", "efficientnet_b0")],
)
def test_weights_of_a_larger_relative_are_refused(tmp_path, larger, smaller):
    path = tmp_path / "weights.pth"
    torch.save(classifier(larger).state_dict(), path)
    with pytest.raises(EncoderError, match=f"{smaller}, but of a larger network"):
        loaded(path, smaller, depth=5)


def test_an_encoder_of_ours_serves_images_with_other_channels(tmp_path):
    path = tmp_path / "grey.pth"
    torch.save(classifier("resnet18").state_dict(), path)
    grey = loaded(path, "resnet18", channels=1)
    torch.save(grey.state_dict(), path)
    image = torch.rand(1, 1, 32, 32)
    colour = loaded(path, "resnet18", channels=3)
    assert same(grey.encoder(image)[1:], colour.encoder(image.expand(1, 3, -1, -1))[1:])


def test_weights_come_from_the_hub_once(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    made = classifier("resnet18")
    save_file(made.state_dict(), path)
    asked = []

    def hub(repository, filename, *, local_files_only):
        asked.append((repository, filename, local_files_only))
        if local_files_only and len(asked) == 1:
            raise LocalEntryNotFoundError("not there yet")
        return str(path)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", hub)
    for _ in range(2):
        encoder = loaded("imagenet", "resnet18", depth=1).encoder
        assert torch.equal(encoder.state_dict()["model.conv1.weight"], made.conv1.weight)
    place = ("timm/resnet18.tv_in1k", "model.safetensors")
    assert asked == [(*place, True), (*place, False), (*place, True)]


def test_without_a_network_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    advice = r"could not download .*choose a local file as encoder weights"
    with pytest.raises(EncoderError, match=advice) as caught:
        loaded("imagenet", "resnet18", depth=1)
    assert "\n" not in str(caught.value)
    assert "=" not in str(caught.value)  # said to people in a dock too
