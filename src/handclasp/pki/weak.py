"""Keys that nobody should use: too small, made by a broken generator, or published.

- RSA: below 2048 bits; an unusual exponent (NIST SP 800-56B §6.2.1); a small factor; the fingerprint of the library
  of CVE-2017-15361 ("ROCA", Nemec et al. 2017, §4.2); two primes so close that Fermat's method finds them
  (CVE-2022-26320).
- Ed25519: a point of small order, for which anybody can sign (RFC 8032 §5.1.7 does not exclude them).
- All: keys whose private half stands in a standard or in the tests of a widely used library (``published``).

That an EC point is on its curve is checked where keys are parsed.
"""

from __future__ import annotations

import hashlib
from functools import cache
from math import gcd, isqrt, prod

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from handclasp.pki.published import PUBLISHED

MIN_RSA = 2048
MIN_EXPONENT = 65537

_FERMAT_ROUNDS = 100
_SMALL_PRIMES_BELOW = 2048
_ROCA_PRIMES_UP_TO = 167  # the first 38 odd primes, whose product all moduli of that library share as M
_ROCA_GENERATOR = 65537

# The y coordinates of the 8 points whose order divides 8, modulo 2^255 - 19.
_P = 2**255 - 19
_Y8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})


def weakness(public: CertificatePublicKeyTypes) -> str | None:
    """Why this public key must not be certified, as a sentence; None if nothing is known against it."""
    if isinstance(public, rsa.RSAPublicKey) and (why := _of_rsa(public)):
        return why
    if isinstance(public, ed25519.Ed25519PublicKey) and _is_small_order(public.public_bytes_raw()):
        return "it is a point of small order, for which anybody can make signatures"
    where = PUBLISHED.get(
        hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    )
    return f"its private key is published: {where}" if where else None


def _of_rsa(public: rsa.RSAPublicKey) -> str | None:
    if public.key_size < MIN_RSA:
        return f"it is an RSA key of {public.key_size} bits, and {MIN_RSA} is the least"
    numbers = public.public_numbers()
    n, e = numbers.n, numbers.e
    if e < MIN_EXPONENT or e % 2 == 0 or e.bit_length() > 256:
        return f"its RSA exponent is not an odd number from {MIN_EXPONENT} to 2^256"
    if gcd(n, _small_primes()) != 1:
        return "its RSA modulus has a small factor"
    if _is_roca(n):
        return "its RSA modulus has the fingerprint of a broken generator (ROCA, CVE-2017-15361)"
    if _has_close_primes(n):
        return "its RSA primes are so close together that they can be computed (CVE-2022-26320)"
    return None


def _primes(limit: int) -> list[int]:
    found: list[int] = []
    for candidate in range(2, limit):
        if all(candidate % prime for prime in found):
            found.append(candidate)
    return found


@cache
def _small_primes() -> int:
    return prod(_primes(_SMALL_PRIMES_BELOW))


@cache
def _roca_residues() -> tuple[tuple[int, frozenset[int]], ...]:
    """For each prime, the powers of 65537 modulo it: what all moduli of the broken generator are congruent to."""
    table = []
    for prime in _primes(_ROCA_PRIMES_UP_TO + 1)[1:]:
        power, powers = 1, set[int]()
        while power not in powers:
            powers.add(power)
            power = power * _ROCA_GENERATOR % prime
        table.append((prime, frozenset(powers)))
    return tuple(table)


def _is_roca(n: int) -> bool:
    return all(n % prime in powers for prime, powers in _roca_residues())


def _has_close_primes(n: int) -> bool:
    """Fermat: n = a² - b², with a from the root of n upward."""
    a = isqrt(n - 1) + 1
    for _ in range(_FERMAT_ROUNDS):
        rest = a * a - n
        if isqrt(rest) ** 2 == rest:
            return True
        a += 1
    return False


def _is_small_order(raw: bytes) -> bool:
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    return y % _P in _SMALL_ORDER_Y
