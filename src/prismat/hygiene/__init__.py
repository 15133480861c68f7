"""Whether data are clean: duplicates, leaks between sets, licences, and the data card of a store."""
