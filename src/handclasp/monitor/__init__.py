"""Watching endpoints and certificates: what is checked, when, what changed, and who is told."""
