"""Widgets for Jupyter: a player, an explorer and a comparison. Nothing else in the package imports ipywidgets.

from seglab.widgets import compare, explore, step_through
step_through(KMeans(n_clusters=4), image)
explore(KMeans, image)
compare([KMeans(n_clusters=4), GaussianMixture(n_components=4)], [image])
"""

from __future__ import annotations

from seglab.widgets._base import shrink
from seglab.widgets.player import Player, step_through

__all__ = ["Player", "shrink", "step_through"]
