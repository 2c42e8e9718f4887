"""Examining thousands of endpoints once: where the targets come from, how politely, where the results go, what
differs."""
