"""The command line: parses, calls one function of ``app``, and prints. What is below is imported by a command."""
