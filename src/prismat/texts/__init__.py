"""Texts about crystals: own templates, robocrystallographer, and language models at any endpoint."""
