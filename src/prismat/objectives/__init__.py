"""Losses over embeddings and masks: one file each, ignorant of what the modalities are."""
