"""Screening and tagging: crystals by words, and words by crystals."""
