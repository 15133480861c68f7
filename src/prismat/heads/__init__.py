"""Heads over embeddings: what is read off a trained model's features, with its uncertainty."""
