"""Raw data to tensors, without learning: one file per modality."""
