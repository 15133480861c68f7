"""The HTTP service: search, materials, uploads, maps and explanations over one model and one index."""
