"""The methods, one file each; importing the package registers them all."""

from seglab.methods.kmeans import KMeans, KMeansState
from seglab.methods.thresholding import Thresholding, ThresholdingState

__all__ = ["KMeans", "KMeansState", "Thresholding", "ThresholdingState"]
