"""Where materials come from: one file per origin."""
