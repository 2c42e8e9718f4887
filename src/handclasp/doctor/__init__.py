"""The doctor: why a handshake fails, with the proof and the fix. Works on a stranger's endpoint, without a database."""
