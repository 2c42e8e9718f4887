"""Handclasp: mutual TLS for every API a team runs, as one system."""

__version__ = "0.1.0"
