"""SuperAE: an autoencoder that learns to smooth a picture within its superpixels, and deep features on the way.

An encoder makes K features of each pixel, a decoder a picture x^R of them, at full resolution. Of x^R two things are
asked: to be like the picture x, and to be even within each superpixel S_j,

    L_r = ‖x − x^R‖² + λ Σ_j Σ_{i ∈ S_j} ‖x_i^R − v_j‖²,    v_j the mean of x over S_j.

If x^R were free, its best value would be (x + λ v) / (1 + λ): each pixel goes a part of the way to the mean of its
superpixel. A network sees no superpixels, only a pixel's surroundings; it learns what they have in common: texture and
noise go, contours stay.

Q. Lin, W. Zhong & J. Lu, 2020, Deep superpixel cut for unsupervised image segmentation, ICPR,
arXiv:2103.06031.

*Differs from the paper*: written from the authors' slides, which give the equations and no settings. Depth, widths, λ
and training are choices made here. Both terms are means over pixels and channels, so that λ does not depend on the
picture's size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["SuperAE", "deep_features", "scatter_means", "smoothed", "superae_loss"]


class SuperAE(nn.Module):
    """An encoder of three 3×3 convolutions and its mirror image, at full resolution.

    Parameters
    ----------
    n_features
        K, the features of a pixel.
    width
        The channels between.

    Notes
    -----
    Every convolution is followed by batch normalization. The features are the last one's output before its ReLU, which
    belongs to the decoder: of mean 0 and variance 1 in each channel, so that none of them is always the largest. A
    feature sees 7×7 pixels, a pixel of the reconstruction 13×13. The border is replicated.

    Examples
    --------
    >>> model = SuperAE()
    >>> x = torch.rand(1, 3, 24, 31)
    >>> tuple(model(x).shape), tuple(model.encoder(x).shape)
    ((1, 3, 24, 31), (1, 32, 24, 31))
    """

    def __init__(self, n_features: int = 32, width: int = 32) -> None:
        super().__init__()
        if n_features < 1 or width < 1:
            raise ValueError(f"SuperAE has at least 1 feature and width 1; got {n_features}, {width}")
        self.encoder = nn.Sequential(
            *_block(3, width), nn.ReLU(), *_block(width, width), nn.ReLU(), *_block(width, n_features)
        )
        self.decoder = nn.Sequential(
            nn.ReLU(), *_block(n_features, width), nn.ReLU(), *_block(width, width), nn.ReLU(), _conv(width, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction (N, 3, H, W), in (0, 1), of pictures (N, 3, H, W) in [0, 1]."""
        return self.decoder(self.encoder(x)).sigmoid()


def superae_loss(
    reconstruction: Tensor, image: Tensor, superpixels: Tensor, variance_weight: float = 1.0
) -> dict[str, Tensor]:
    """Ask for likeness and for evenness within superpixels: the two terms of L_r, as means over pixels and channels.

    Parameters
    ----------
    reconstruction, image
        x^R and x: (N, C, H, W).
    superpixels
        (N, H, W) int64 from 0, each picture's own numbers; they may have gaps.
    variance_weight
        λ; higher makes superpixels more even, and contours that they miss weaker.

    Returns
    -------
    dict
        ``reconstruction`` and ``variance``, scalars whose sum is L_r; the second has the factor λ.

    Raises
    ------
    ValueError
        The shapes do not fit, or a pixel has no superpixel.

    Examples
    --------
    >>> x = torch.tensor([[[[0.0, 1.0, 1.0]]]])
    >>> terms = superae_loss(x, x, torch.tensor([[[0, 0, 1]]]))
    >>> {name: round(float(term), 4) for name, term in terms.items()}
    {'reconstruction': 0.0, 'variance': 0.1667}
    """
    if reconstruction.shape != image.shape or superpixels.shape != (len(image), *image.shape[2:]):
        raise ValueError(
            f"pictures and their reconstructions are (N, C, H, W), superpixels (N, H, W); got "
            f"{tuple(image.shape)}, {tuple(reconstruction.shape)} and {tuple(superpixels.shape)}"
        )
    if bool((superpixels < 0).any()):
        raise ValueError("every pixel needs a superpixel; some have -1")
    n = int(superpixels.max()) + 1
    index = (superpixels + n * torch.arange(len(image), device=image.device)[:, None, None]).flatten()
    means = scatter_means(index, _rows(image), n * len(image))
    variance = (_rows(reconstruction) - means[index]).square().mean()
    return {
        "reconstruction": (reconstruction - image).square().mean(),
        "variance": variance_weight * variance,
    }


def scatter_means(index: Tensor, values: Tensor, n: int) -> Tensor:
    """Average the rows of ``values`` (N, C) that have the same index (N,): (n, C); 0 where there is none.

    Gradients flow to the values.

    Examples
    --------
    >>> scatter_means(torch.tensor([0, 2, 2]), torch.tensor([[1.0], [2.0], [4.0]]), 3).tolist()
    [[1.0], [0.0], [3.0]]
    """
    sums = values.new_zeros(n, values.shape[1]).index_add(0, index, values)
    return sums / torch.bincount(index, minlength=n).clamp(min=1).to(values.dtype)[:, None]


@torch.no_grad()
def deep_features(model: SuperAE, image: Tensor) -> Tensor:
    """Give the features (K, H, W) of a picture (3, H, W).

    Examples
    --------
    >>> tuple(deep_features(SuperAE(), torch.rand(3, 24, 31)).shape)
    (32, 24, 31)
    """
    return model.eval().encoder(_three(image)[None])[0]


@torch.no_grad()
def smoothed(model: SuperAE, image: Tensor) -> Tensor:
    """Give the reconstruction (3, H, W) of a picture (3, H, W): evened out, its contours kept.

    Examples
    --------
    >>> tuple(smoothed(SuperAE(), torch.rand(3, 24, 31)).shape)
    (3, 24, 31)
    """
    return model.eval()(_three(image)[None])[0]


def training_loss(variance_weight: float) -> Any:
    """The loss of a training: ``loss(model, batch)`` of batches with ``image`` and ``superpixels``."""

    def loss(model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return superae_loss(model(batch["image"]), batch["image"], batch["superpixels"], variance_weight)

    return loss


def _conv(n_in: int, n_out: int, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, 3, padding=1, padding_mode="replicate", bias=bias)


def _block(n_in: int, n_out: int) -> tuple[nn.Module, nn.Module]:
    return _conv(n_in, n_out, bias=False), nn.BatchNorm2d(n_out)  # a bias would be taken away again


def _rows(x: Tensor) -> Tensor:
    """Pictures (N, C, H, W) as pixels (N·H·W, C)."""
    return x.movedim(1, -1).flatten(0, -2)


def _three(image: Tensor) -> Tensor:
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"a picture is (3, H, W), or (1, H, W); got {tuple(image.shape)}")
    return image.expand(3, -1, -1)
