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
from seglab.metrics.superpixel import (
    SuperpixelScores,
    achievable_segmentation_accuracy,
    boundary_precision,
    boundary_recall,
    compactness,
    explained_variation,
    superpixel_scores,
    undersegmentation_error,
)

__all__ = [
    "ContingencyTable",
    "RegionBenchmark",
    "RegionScores",
    "SuperpixelScores",
    "achievable_segmentation_accuracy",
    "adapted_rand_error",
    "boundary_precision",
    "boundary_recall",
    "compactness",
    "contingency_table",
    "explained_variation",
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
    "superpixel_scores",
    "undersegmentation_error",
    "variation_of_information",
]
