"""Maps of the materials world: projections, named clusters, heat of words, overlays, new points, pages."""
