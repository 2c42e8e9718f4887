"""The secrets of TLS 1.2: from the premaster secret to keys and verify_data (RFC 5246 §5, §6.3, §8.1; RFC 7627 §4)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.hmac import HMAC

MASTER_SECRET_LENGTH = 48
VERIFY_DATA_LENGTH = 12

_ALGORITHMS: Final = {"sha256": SHA256(), "sha384": SHA384()}


def prf(hash_name: str, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """``length`` octets of PRF(secret, label, seed) (RFC 5246 §5). ``hash_name`` is sha256 or sha384."""
    seed = label + seed
    keyed = HMAC(secret, _ALGORITHMS[hash_name])  # prepared once: half the time of all that follows

    def mac(data: bytes) -> bytes:
        copy = keyed.copy()
        copy.update(data)
        return copy.finalize()

    link, out = mac(seed), b""
    while True:
        out += mac(link + seed)
        if len(out) >= length:
            return out[:length]
        link = mac(link)


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The key block, cut up (RFC 5246 §6.3): MAC keys are empty with an AEAD, IVs with CBC."""

    client_mac: bytes
    server_mac: bytes
    client_key: bytes
    server_key: bytes
    client_iv: bytes
    server_iv: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The master secret of one connection (48 octets) and what follows from it. It has no repr: nothing prints it."""

    hash_name: str
    master: bytes

    def keys(self, client_random: bytes, server_random: bytes, mac: int, key: int, iv: int) -> Keys:
        """The key block for MAC keys, keys and IVs of so many octets."""
        seed = server_random + client_random
        block = prf(self.hash_name, self.master, b"key expansion", seed, 2 * (mac + key + iv))
        pieces, at = [], 0
        for length in (mac, mac, key, key, iv, iv):
            pieces.append(block[at : at + length])
            at += length
        return Keys(*pieces)

    def client_finished(self, transcript: bytes | bytearray) -> bytes:
        """verify_data of our Finished (RFC 5246 §7.4.9), over all messages before it."""
        return self._finished(b"client finished", transcript)

    def server_finished(self, transcript: bytes | bytearray) -> bytes:
        """verify_data of the server's Finished, over all messages before it, ours included."""
        return self._finished(b"server finished", transcript)

    def _finished(self, label: bytes, transcript: bytes | bytearray) -> bytes:
        digest = hashlib.new(self.hash_name, transcript).digest()
        return prf(self.hash_name, self.master, label, digest, VERIFY_DATA_LENGTH)


def secrets_of(hash_name: str, premaster: bytes, client_random: bytes, server_random: bytes) -> Secrets:
    """The master secret as RFC 5246 §8.1 has it: for servers without extended_master_secret."""
    seed = client_random + server_random
    return Secrets(hash_name, prf(hash_name, premaster, b"master secret", seed, MASTER_SECRET_LENGTH))


def extended_secrets_of(hash_name: str, premaster: bytes, transcript: bytes | bytearray) -> Secrets:
    """The extended master secret (RFC 7627 §4), over all messages up to and with the ClientKeyExchange."""
    digest = hashlib.new(hash_name, transcript).digest()
    return Secrets(hash_name, prf(hash_name, premaster, b"extended master secret", digest, MASTER_SECRET_LENGTH))
