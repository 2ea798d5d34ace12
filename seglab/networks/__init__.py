"""Torch modules for segmentation, and what they are made of."""

from seglab.networks.clustering import cluster_network
from seglab.networks.layers import (
    ReceptiveField,
    bed_of_nails,
    bilinear_kernel,
    bilinear_unpool,
    crop_and_concatenate,
    max_unpool,
    nearest_unpool,
    receptive_field,
    transposed_by_convolution,
    transposed_by_gradient,
    transposed_by_scatter,
    transposed_size,
)
from seglab.networks.squeezenet import (
    SqueezeNet,
    class_names,
    classify,
    linear_to_conv,
    load_squeezenet,
    preprocess,
    to_fully_convolutional,
)
from seglab.networks.unet import UNet, border_weights, predict_tiled

__all__ = [
    "ReceptiveField",
    "SqueezeNet",
    "UNet",
    "bed_of_nails",
    "bilinear_kernel",
    "bilinear_unpool",
    "border_weights",
    "class_names",
    "classify",
    "cluster_network",
    "crop_and_concatenate",
    "linear_to_conv",
    "load_squeezenet",
    "max_unpool",
    "nearest_unpool",
    "predict_tiled",
    "preprocess",
    "receptive_field",
    "to_fully_convolutional",
    "transposed_by_convolution",
    "transposed_by_gradient",
    "transposed_by_scatter",
    "transposed_size",
]
