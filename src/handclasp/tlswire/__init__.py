"""TLS on the wire, without a socket: records, hellos, handshake messages, keys; what was seen, as values (RFC 8446,
5246)."""
