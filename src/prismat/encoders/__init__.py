"""Tensors to features: one file per published encoder."""
