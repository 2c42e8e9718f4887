"""A server's configuration, read for what it says of mutual TLS, and judged: findings have a file and a line."""
