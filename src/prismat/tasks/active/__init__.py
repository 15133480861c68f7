"""Which record to measure next: Gaussian processes on frozen embeddings, acquisitions, campaigns."""
