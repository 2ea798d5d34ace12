"""Torch modules for segmentation, and what they are made of."""
