"""Index back ends, queries and filters."""
