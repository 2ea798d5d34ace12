"""Measures: how good a segmentation is."""

from seglab.metrics.berkeley import (
    RegionBenchmark,
    RegionScores,
    format_official,
    read_ground_truth,
    read_segs,
    read_ucm2,
    region_benchmark,
    region_scores,
    region_scores_of_hierarchy,
)
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
    "RegionBenchmark",
    "RegionScores",
    "adapted_rand_error",
    "contingency_table",
    "format_official",
    "probabilistic_rand_index",
    "rand_index",
    "read_ground_truth",
    "read_segs",
    "read_ucm2",
    "region_benchmark",
    "region_scores",
    "region_scores_of_hierarchy",
    "segmentation_covering",
    "variation_of_information",
]
