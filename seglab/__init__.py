"""Image segmentation, from a threshold to Deep Superpixel Cut."""

__version__ = "0.1.0.dev0"
