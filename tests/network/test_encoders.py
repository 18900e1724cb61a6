"""U-Nets with encoders from elsewhere: their sizes, how far they see, what they learnt before."""

from __future__ import annotations

import importlib.abc
import sys

import pytest
import torch
from torch import nn

from napari_unet.network import (
    ENCODERS,
    EncoderError,
    EncoderUNet,
    build_network,
    geometry_of,
)
from napari_unet.network.encoders import encoder_advice

pytestmark = pytest.mark.usefixtures("loadable_torchvision")
FAMILIES = ["resnet18", "resnext50_32x4d", "efficientnet_b0", "densenet121"]


@pytest.mark.parametrize("encoder", FAMILIES)
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_any_number_of_channels_becomes_classes_of_the_same_size(encoder, channels):
    network = EncoderUNet(channels, 4, encoder=encoder, depth=3).eval()
    with torch.no_grad():
        logits = network(torch.rand(1, channels, 32, 48))
    assert logits.shape == (1, 4, 32, 48)
    assert logits.isfinite().all()


@pytest.mark.parametrize("encoder", list(ENCODERS))
@pytest.mark.parametrize("depth", [1, 5])
def test_every_encoder_is_built_at_every_depth_without_a_download(encoder, depth, monkeypatch):
    def refuses(*_given, **_more):
        raise AssertionError("asked the hub")

    monkeypatch.setattr("huggingface_hub.file_download.hf_hub_download", refuses)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuses)
    with torch.device("meta"):
        network = EncoderUNet(encoder=encoder, depth=depth)
        assert network(torch.rand(1, 1, 64, 64)).shape == (1, 2, 64, 64)


def test_a_network_is_built_again_from_its_architecture():
    network = EncoderUNet(2, 3, encoder="resnet18", depth=2, width=4, dropout=0.5).eval()
    again = build_network(network.architecture).eval()
    assert again.architecture == network.architecture
    assert geometry_of(network.architecture) == again.geometry == network.geometry
    again.load_state_dict(network.state_dict())
    image = torch.rand(1, 2, 8, 8)
    assert torch.equal(again(image), network(image))


def test_what_lies_deeper_in_the_encoder_is_left_out():
    shallow, deep = (
        sum(p.numel() for p in EncoderUNet(depth=depth).encoder.parameters()) for depth in (4, 5)
    )
    assert shallow < deep / 3


@pytest.mark.parametrize("depth", [1, 3, 5])
@pytest.mark.parametrize(
    "keep", [(slice(0, 64), slice(192, 256)), (slice(131, 150), slice(0, 300))]
)
def test_a_part_is_what_the_whole_has_there(depth, keep):
    network = EncoderUNet(encoder="efficientnet_lite0", depth=depth, width=4).eval()
    image = torch.rand(2, 1, 320, 320)
    with torch.no_grad():
        whole, part = network(image)[(..., *keep)], network.part(image, keep)
    torch.testing.assert_close(part, whole)


def test_only_the_surroundings_of_a_part_are_decoded():
    network = EncoderUNet(depth=2, width=4).eval()
    drawn = []
    network.classify.register_forward_hook(lambda *call: drawn.append(call[-1].shape[-2:]))
    network.part(torch.rand(1, 1, 256, 256), (slice(100, 120), slice(0, 8)))
    assert drawn == [(36, 16)]


def test_dropout_acts_at_the_end_of_the_encoder():
    network = EncoderUNet(depth=2, width=4, dropout=0.5)
    image = torch.rand(1, 1, 16, 16)
    assert torch.equal(network.eval()(image), network(image))
    for module in network.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    assert not torch.equal(network(image), network(image))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"encoder": "resnet19"}, "no encoder 'resnet19'; choose resnet18, resnet34"),
        ({"encoder": "hf-hub:somebody/model"}, "no encoder 'hf-hub:somebody/model'"),
        ({"depth": 0}, "depth is 0; with an encoder choose 1 to 5"),
        ({"depth": 6}, "depth is 6; with an encoder choose 1 to 5"),
        ({"width": 0}, "width is 0"),
        ({"in_channels": 0}, "in_channels is 0"),
    ],
)
def test_impossible_architectures_are_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        EncoderUNet(**values)


def test_a_size_that_cannot_be_halved_is_refused_by_name():
    with pytest.raises(ValueError, match="nearest sizes that work are 16 and 32"):
        EncoderUNet(depth=4)(torch.zeros(1, 1, 17, 32))


def _linear(module: nn.Module) -> None:
    """Replace what hides a path from gradients, or looks at the whole tile, in place."""
    hiding = ("BatchNorm2d", "BatchNormAct2d", "ReLU", "ReLU6", "SiLU")
    for name, child in module.named_children():
        kind = type(child).__name__
        if "SqueezeExcite" in kind or kind in hiding:
            setattr(module, name, nn.Identity())
        elif isinstance(child, nn.MaxPool2d):
            pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding)
            setattr(module, name, pool)
        else:
            _linear(child)


def _farthest(network: EncoderUNet) -> int:
    """Measure by gradients through a linear twin how far an output pixel sees, in the worst case.

    The image is a strip: the two axes are alike, and each phase of the strides has its own row of
    the batch.
    """
    _linear(network)
    for parameter in network.parameters():
        parameter.data = torch.full_like(parameter, 1 / max(1, parameter[0].numel()))
    stride = network.geometry.stride
    middle = -(-(network.geometry.reach + stride) // stride) * stride
    strip = torch.ones(stride, 1, stride, 2 * middle + stride, dtype=torch.float64)
    strip.requires_grad_()
    columns = torch.arange(stride)
    network.double().eval()(strip)[columns, 0, :, middle + columns].sum().backward()
    farthest = 0
    for phase, row in enumerate(strip.grad.abs().sum(dim=(1, 2))):
        seen = row.nonzero().ravel()
        at = middle + phase
        assert seen.min() > 0
        assert seen.max() < len(row) - 1, "the strip is long enough"
        farthest = max(farthest, at - int(seen.min()), int(seen.max()) - at)
    return farthest


@pytest.mark.parametrize(
    ("encoder", "depth"),
    [
        *[(name, 1) for name in ENCODERS],
        *[(name, 2) for name in ENCODERS],
        ("resnet18", 3),
        ("resnet50", 3),
        ("resnet18", 4),
        ("efficientnet_lite0", 3),
        ("efficientnet_b0", 3),
        ("densenet121", 3),
    ],
)
def test_the_reach_is_that_of_the_real_network(encoder, depth):
    network = EncoderUNet(encoder=encoder, depth=depth, width=1)
    assert _farthest(network) == network.geometry.reach


@pytest.mark.parametrize("encoder", list(ENCODERS))
def test_the_context_covers_the_reach_up_to_a_limit(encoder):
    for depth in range(1, 6):
        geometry = geometry_of({"kind": "encoder", "encoder": encoder, "depth": depth})
        assert geometry.context % geometry.stride == 0
        assert geometry.context >= min(geometry.reach, 224)
        assert geometry.context < min(geometry.reach, 224) + geometry.stride


def _everything(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoder_stays_what_it_is_and_the_decoder_learns(frozen):
    network = EncoderUNet(depth=2, width=4)
    network.freeze_encoder(frozen)
    network.train()
    before = _everything(network)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    network(torch.rand(2, 1, 16, 16)).sum().backward()
    optimiser.step()
    changed = {
        name.partition(".")[0]
        for name, value in network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"decoder", "classify"} | (set() if frozen else {"encoder"})


def test_an_encoder_can_be_thawed():
    network = EncoderUNet(depth=1, width=1)
    network.freeze_encoder()
    network.freeze_encoder(False)
    assert network.train().encoder.training
    assert all(parameter.requires_grad for parameter in network.parameters())


class _Breaks(importlib.abc.MetaPathFinder):
    """Makes the import of a module raise."""

    def __init__(self, module: str, error: Exception) -> None:
        self.module, self.error = module, error

    def find_spec(self, fullname, _path, _target=None):
        if fullname == self.module:
            raise self.error


@pytest.mark.parametrize("missing", ["segmentation_models_pytorch", "timm"])
def test_without_the_extra_it_says_what_to_install(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(EncoderError, match=rf"{missing} is not installed.* pip install"):
        EncoderUNet()
    with pytest.raises(EncoderError, match=r"napari-unet\[encoders\]"):
        EncoderUNet()


def test_a_torchvision_that_does_not_fit_torch_is_named(monkeypatch):
    problem = RuntimeError("operator torchvision::nms does not exist")
    monkeypatch.delitem(sys.modules, "segmentation_models_pytorch", raising=False)
    monkeypatch.setattr(
        sys, "meta_path", [_Breaks("segmentation_models_pytorch", problem), *sys.meta_path]
    )
    with pytest.raises(EncoderError, match=r"torchvision does not fit torch .*nms.*pytorch\.org"):
        EncoderUNet()


@pytest.mark.parametrize(
    "problem",
    [
        RuntimeError("operator torchvision::nms does not exist"),
        OSError("libcudart.so.13: cannot open shared object file"),
    ],
)
def test_a_torchvision_that_does_not_fit_torch_is_said_before_anything_is_built(
    problem, monkeypatch
):
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_Breaks("torchvision", problem), *sys.meta_path])
    advice = encoder_advice()
    assert "torchvision does not fit torch" in advice
    assert str(problem) in advice
    assert "pytorch.org" in advice


def test_what_is_missing_is_said_before_anything_is_built(monkeypatch):
    assert encoder_advice() == ""
    monkeypatch.setattr("napari_unet.network.encoders.find_spec", lambda _: None)
    assert "pip install segmentation-models-pytorch timm" in encoder_advice()
