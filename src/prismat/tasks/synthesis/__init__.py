"""Synthesis recommendation: from a material, or from properties that are wanted, to known recipes."""
