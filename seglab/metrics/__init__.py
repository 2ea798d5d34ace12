"""Measures: how good a segmentation is."""

from seglab.metrics.contingency import ContingencyTable, contingency_table
from seglab.metrics.region import (
    adapted_rand_error,
    probabilistic_rand_index,
    rand_index,
    segmentation_covering,
    variation_of_information,
)

__all__ = [
    "ContingencyTable",
    "adapted_rand_error",
    "contingency_table",
    "probabilistic_rand_index",
    "rand_index",
    "segmentation_covering",
    "variation_of_information",
]
