"""Attention of text encoders: weights of every layer and head, over words, beside other encoders, checked."""
