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
from seglab.networks.superae import SuperAE, deep_features, smoothed, superae_loss
from seglab.networks.training import Training, TrainingState, predict_labels
from seglab.networks.unet import UNet, border_weights, predict_tiled
from seglab.networks.weights import list_weights, load_weights, save_weights, weights_info

__all__ = [
    "ReceptiveField",
    "SqueezeNet",
    "SuperAE",
    "Training",
    "TrainingState",
    "UNet",
    "bed_of_nails",
    "bilinear_kernel",
    "bilinear_unpool",
    "border_weights",
    "class_names",
    "classify",
    "crop_and_concatenate",
    "deep_features",
    "linear_to_conv",
    "list_weights",
    "load_squeezenet",
    "load_weights",
    "max_unpool",
    "nearest_unpool",
    "predict_labels",
    "predict_tiled",
    "preprocess",
    "receptive_field",
    "save_weights",
    "smoothed",
    "superae_loss",
    "to_fully_convolutional",
    "transposed_by_convolution",
    "transposed_by_gradient",
    "transposed_by_scatter",
    "transposed_size",
    "weights_info",
]
