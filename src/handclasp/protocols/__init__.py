"""The protocols that others speak to us, one folder each: what is pure in machine.py, what waits beside it."""
