"""Torch modules for segmentation, and what they are made of."""

from seglab.networks.clustering import cluster_network
from seglab.networks.detection import (
    box_iou,
    boxes_of,
    decode,
    encode,
    make_anchors,
    nms,
    paste_masks,
    roi_align,
    roi_pool,
)
from seglab.networks.fcn import FCN, class_activation, pixel_loss, sliding_scores, to_pixels
from seglab.networks.hourglass import UNPOOLINGS, Hourglass, Unpool
from seglab.networks.layers import (
    ReceptiveField,
    bed_of_nails,
    bilinear_kernel,
    bilinear_unpool,
    conv_size,
    crop_and_concatenate,
    max_unpool,
    nearest_unpool,
    receptive_field,
    transposed_by_convolution,
    transposed_by_gradient,
    transposed_by_scatter,
    transposed_size,
)
from seglab.networks.mask_rcnn import Detections, MaskRCNN, MaskRCNNSettings
from seglab.networks.segnet import SegNet, median_frequency_weights
from seglab.networks.squeezenet import (
    SqueezeNet,
    class_names,
    classify,
    linear_to_conv,
    load_squeezenet,
    normalize,
    preprocess,
    to_fully_convolutional,
)
from seglab.networks.stages import DetectionStages
from seglab.networks.superae import SuperAE, deep_features, smoothed, superae_loss
from seglab.networks.texturenet import TextureNet
from seglab.networks.training import Training, TrainingState, predict_labels
from seglab.networks.unet import UNet, border_weights, predict_tiled
from seglab.networks.weights import list_weights, load_weights, save_weights, weights_info

__all__ = [
    "FCN",
    "UNPOOLINGS",
    "DetectionStages",
    "Detections",
    "Hourglass",
    "MaskRCNN",
    "MaskRCNNSettings",
    "ReceptiveField",
    "SegNet",
    "SqueezeNet",
    "SuperAE",
    "TextureNet",
    "Training",
    "TrainingState",
    "UNet",
    "Unpool",
    "bed_of_nails",
    "bilinear_kernel",
    "bilinear_unpool",
    "border_weights",
    "box_iou",
    "boxes_of",
    "class_activation",
    "class_names",
    "classify",
    "cluster_network",
    "conv_size",
    "crop_and_concatenate",
    "decode",
    "deep_features",
    "encode",
    "linear_to_conv",
    "list_weights",
    "load_squeezenet",
    "load_weights",
    "make_anchors",
    "max_unpool",
    "median_frequency_weights",
    "nearest_unpool",
    "nms",
    "normalize",
    "paste_masks",
    "pixel_loss",
    "predict_labels",
    "predict_tiled",
    "preprocess",
    "receptive_field",
    "roi_align",
    "roi_pool",
    "save_weights",
    "sliding_scores",
    "smoothed",
    "superae_loss",
    "to_fully_convolutional",
    "to_pixels",
    "transposed_by_convolution",
    "transposed_by_gradient",
    "transposed_by_scatter",
    "transposed_size",
    "weights_info",
]
