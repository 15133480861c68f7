"""Training views: the same record described, cut or disturbed differently."""
