"""Fetching from public services: politely, resumably, and nothing twice."""
