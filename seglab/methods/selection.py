"""How many components? Mixtures of several sizes, compared by what they explain and by what they cost.

More components always explain a picture better. Each criterion adds a price for their p free parameters to −2 L, where
L is the log-likelihood of all N pixels: BIC p log N, AIC 2 p. The size with the lowest sum is chosen.

References
----------
G. Schwarz (1978). Estimating the dimension of a model. Annals of Statistics 6(2), 461–464. doi:10.1214/aos/1176344136
H. Akaike (1974). A new look at the statistical model identification. IEEE Transactions on Automatic Control 19(6),
716–723. doi:10.1109/TAC.1974.1100705
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from seglab.methods.gmm import GaussianMixture, GaussianMixtureState
from seglab.panels import Curve

__all__ = ["ComponentCurve", "select_components"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ComponentCurve:
    """How well mixtures of several sizes explain a picture.

    Attributes
    ----------
    n_components
        The sizes.
    states
        The fitted mixtures, one for each size.
    """

    n_components: tuple[int, ...]
    states: tuple[GaussianMixtureState, ...]

    @property
    def bic(self) -> list[float]:
        """The Bayesian information criterion of each size."""
        return [state.bic for state in self.states]

    @property
    def aic(self) -> list[float]:
        """Akaike's information criterion of each size."""
        return [state.aic for state in self.states]

    @property
    def best(self) -> int:
        """The size with the lowest BIC, the smallest of equals."""
        return min(zip(self.bic, self.n_components, strict=True))[1]

    def panel(self) -> Curve:
        """Both criteria, with a mark at the best size."""
        curves = {"BIC": self.bic, "AIC": self.aic}
        marks = {"lowest BIC": float(self.best)}
        return Curve(title="How many components?", x=self.n_components, curves=curves, marks=marks, x_label="K")


def select_components(
    image: Any, n_components: Iterable[int] = range(1, 9), method: GaussianMixture | None = None
) -> ComponentCurve:
    """Fit mixtures of several sizes to a picture, to compare them by BIC and AIC.

    Parameters
    ----------
    image
        Anything that `seglab.image.as_image` takes.
    n_components
        The sizes.
    method
        The other hyper-parameters; the defaults where none is given.

    Notes
    -----
    The criteria take pixels for independent draws from a mixture of Gaussians. Those of a photograph are neither, so
    its curve may fall for as long as one looks: choose by its bend.

    Examples
    --------
    >>> from seglab import datasets
    >>> select_components(datasets.shapes(height=32, width=32).image, (1, 2, 3)).n_components
    (1, 2, 3)
    """
    method = GaussianMixture() if method is None else method
    sizes = tuple(n_components)
    results = (dataclasses.replace(method, n_components=size).segment(image) for size in sizes)
    states = tuple(cast(GaussianMixtureState, result.state) for result in results)
    return ComponentCurve(n_components=sizes, states=states)
