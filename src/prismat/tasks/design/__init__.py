"""Inverse design by screening: from what a material should be like to the crystals that come nearest."""
