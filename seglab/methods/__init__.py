"""The methods, one file each; importing the package registers them all."""

from seglab.methods.backprop_segmentation import BackpropSegmentation, BackpropSegmentationState
from seglab.methods.deep_superpixel_cut import DeepSuperpixelCut, DeepSuperpixelCutState
from seglab.methods.felzenszwalb import Felzenszwalb, FelzenszwalbState
from seglab.methods.gmm import GaussianMixture, GaussianMixtureState
from seglab.methods.kmeans import KMeans, KMeansState
from seglab.methods.mean_shift import MeanShift, MeanShiftState
from seglab.methods.normalized_cuts import NormalizedCuts, NormalizedCutsState
from seglab.methods.region_growing import RegionGrowing, RegionGrowingState
from seglab.methods.selection import ComponentCurve, select_components
from seglab.methods.slic import SLIC, SLICState
from seglab.methods.smoothing import SmoothedMixture, SmoothedMixtureState
from seglab.methods.split_merge import SplitMerge, SplitMergeState
from seglab.methods.thresholding import Thresholding, ThresholdingState

__all__ = [
    "SLIC",
    "BackpropSegmentation",
    "BackpropSegmentationState",
    "ComponentCurve",
    "DeepSuperpixelCut",
    "DeepSuperpixelCutState",
    "Felzenszwalb",
    "FelzenszwalbState",
    "GaussianMixture",
    "GaussianMixtureState",
    "KMeans",
    "KMeansState",
    "MeanShift",
    "MeanShiftState",
    "NormalizedCuts",
    "NormalizedCutsState",
    "RegionGrowing",
    "RegionGrowingState",
    "SLICState",
    "SmoothedMixture",
    "SmoothedMixtureState",
    "SplitMerge",
    "SplitMergeState",
    "Thresholding",
    "ThresholdingState",
    "select_components",
]
