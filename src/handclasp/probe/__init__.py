"""The active handshake: reaches an endpoint, drives tlswire over sockets, and says what it found."""
