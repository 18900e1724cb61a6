"""Terms that may stand beside the cross-entropy: overlap (Dice), and a focus on what is hard."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["dice_loss", "focus"]

_SMOOTH = 1.0  # pixels; keeps a class that does not occur in a batch from deciding


def dice_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return 1 - the soft Dice coefficient, mean over the classes but the background.

    Parameters
    ----------
    logits : (N, C, Y, X) tensor
        The network's output.
    target : (N, Y, X) integer tensor
        The true class of each pixel.
    weight : (N, Y, X) float tensor
        Only whether it is above 0 matters: such pixels count, all alike.

    Returns
    -------
    scalar tensor
        float32, 0 (all right) to 1; the batch counts as one picture.

    Source: Milletari, Navab, Ahmadi 2016 (V-Net).
    """
    counted = (weight > 0)[:, None].float()
    probability = torch.softmax(logits.float(), dim=1)[:, 1:] * counted
    true = F.one_hot(target.long(), logits.shape[1]).movedim(-1, 1)[:, 1:].float() * counted
    shared = (probability * true).sum(dim=(0, 2, 3))
    both = probability.sum(dim=(0, 2, 3)) + true.sum(dim=(0, 2, 3))
    return 1 - ((2 * shared + _SMOOTH) / (both + _SMOOTH)).mean()


def focus(entropy: Tensor, gamma: float) -> Tensor:
    """Return the cross-entropy of each pixel, less of it where the network is right already.

    Parameters
    ----------
    entropy : tensor
        -log of the probability of the true class, per pixel.
    gamma : float
        0 changes nothing; 2 is usual. The factor is (1 - probability) to the power of gamma.

    Source: Lin et al. 2017 (focal loss).
    """
    if gamma == 0:
        return entropy
    wrong = (1 - torch.exp(-entropy)).clamp(min=1e-6)  # a root of 0 has no gradient
    return entropy * wrong**gamma
