"""Properties and classes predicted from a trained model's windows, beside what the formula alone gives."""
