"""How well an embedding space is ordered: clusters, neighbours, probes, geometry."""
