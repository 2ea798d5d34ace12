"""Torch modules for segmentation, and what they are made of."""

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

__all__ = [
    "ReceptiveField",
    "SqueezeNet",
    "bed_of_nails",
    "bilinear_kernel",
    "bilinear_unpool",
    "class_names",
    "classify",
    "crop_and_concatenate",
    "linear_to_conv",
    "load_squeezenet",
    "max_unpool",
    "nearest_unpool",
    "preprocess",
    "receptive_field",
    "to_fully_convolutional",
    "transposed_by_convolution",
    "transposed_by_gradient",
    "transposed_by_scatter",
    "transposed_size",
]
