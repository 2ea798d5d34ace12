"""Widgets for Jupyter: a player, an explorer, a comparison and cuts. Nothing else in the package imports ipywidgets.

from seglab.widgets import compare, explore, step_through
step_through(KMeans(n_clusters=4), image)
explore(KMeans, image)
compare([KMeans(n_clusters=4), GaussianMixture(n_components=4)], [image])
explore_cuts(merge_hierarchical(superpixels, image, "boundary"), image, truths)
"""

from __future__ import annotations

from seglab.widgets._base import shrink
from seglab.widgets.comparison import Comparison, compare
from seglab.widgets.cuts import CutExplorer, explore_cuts
from seglab.widgets.explorer import Explorer, explore
from seglab.widgets.player import Player, step_through

__all__ = [
    "Comparison",
    "CutExplorer",
    "Explorer",
    "Player",
    "compare",
    "explore",
    "explore_cuts",
    "shrink",
    "step_through",
]
