"""Measurements of Handclasp beside plain Envoy: ``python -m bench``. See docs/benchmarks.md."""
