"""Weak and published keys: each kind of weakness with a key that has it, and sound keys that have none."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from handclasp.findings import Refused
from handclasp.pki import keys
from handclasp.pki.keys import KeyType, PrivateKey
from handclasp.pki.published import PUBLISHED
from handclasp.pki.weak import weakness

KINDS = pytest.mark.parametrize("kind", list(KeyType))
P = 2**255 - 19
ROCA = "its RSA modulus has the fingerprint of a broken generator (ROCA, CVE-2017-15361)"
EXPONENT = "its RSA exponent is not an odd number from 65537 to 2^256"


@KINDS
def test_a_new_key_is_not_weak(kind: KeyType, key_of: Callable[[KeyType], PrivateKey]) -> None:
    """What generate() makes has none of the weaknesses."""
    assert weakness(key_of(kind).public_key()) is None


def is_prime(n: int) -> bool:
    """Miller and Rabin, for the few bases that make a test's prime prime enough."""
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13):
        x = pow(base, odd, n)
        if x not in (1, n - 1) and all((x := x * x % n) != n - 1 for _ in range(twos - 1)):
            return False
    return True


def next_prime(n: int) -> int:
    n |= 1
    while any(n % small == 0 for small in (3, 5, 7, 11, 13, 17, 19, 23)) or not is_prime(n):
        n += 2
    return n


def rsa_key(n: int, e: int = 65537) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(e, n).public_key()


def close_primes() -> int:
    p = next_prime(int("c0ffee" + "5" * 250, 16))
    return p * next_prime(p + 2)


def roca() -> int:
    """A modulus as the broken generator makes them: a power of 65537 modulo the product of 38 primes."""
    primes = [p for p in range(3, 168) if all(p % q for q in range(2, p))]
    m = prod(primes)
    base = pow(65537, 123456789, m)
    k = (1 << 2047) // m + 1
    while (n := base + k * m) % 2 == 0 or any(n % small == 0 for small in primes):
        k += 1
    return n


@pytest.mark.parametrize(
    ("public", "why"),
    [
        pytest.param(rsa_key((1 << 2046) | 1), "it is an RSA key of 2047 bits, and 2048 is the least", id="2047 bits"),
        pytest.param(rsa_key((1 << 2047) | 1, 3), EXPONENT, id="exponent 3"),
        pytest.param(
            rsa_key(2039 * ((1 << 2047) // 2039 + 1 | 1)),
            "its RSA modulus has a small factor",
            id="small factor",
        ),
        pytest.param(rsa_key(roca()), ROCA, id="ROCA"),
        pytest.param(
            rsa_key(close_primes()),
            "its RSA primes are so close together that they can be computed (CVE-2022-26320)",
            id="close primes",
        ),
    ],
)
def test_a_weak_rsa_key_is_found(public: rsa.RSAPublicKey, why: str) -> None:
    """Each weakness is said in its own words."""
    assert weakness(public) == why


def small_order_points() -> Iterator[bytes]:
    """The encodings of the points of order 1, 2, 4 and 8 of edwards25519, each canonical y with either sign."""
    d = -121665 * pow(121666, -1, P) % P
    y8 = next(y for y in _order_eight(d) if y)
    for y in (0, 1, P - 1, y8, P - y8):
        for sign in (0, 1 << 255):
            yield (y | sign).to_bytes(32, "little")


def _order_eight(d: int) -> Iterator[int]:
    """Doubling (x, y) gives y' = 0 where x² = -y²; with -x² + y² = 1 + d x² y² that is d y⁴ + 2 y² - 1 = 0."""
    root = sqrt(1 + d)
    assert root is not None
    for sign in (1, -1):
        if y := sqrt((sign * root - 1) * pow(d, -1, P) % P):
            yield y


def sqrt(a: int) -> int | None:
    a %= P
    root = pow(a, (P + 3) // 8, P)
    if root * root % P != a:
        root = root * pow(2, (P - 1) // 4, P) % P
    return root if root * root % P == a else None


@pytest.mark.parametrize("raw", list(small_order_points()), ids=bytes.hex)
def test_an_ed25519_key_of_small_order_is_found(raw: bytes) -> None:
    """A signature by such a key says nothing: anybody can make one."""
    public = ed25519.Ed25519PublicKey.from_public_bytes(raw)
    assert weakness(public) == "it is a point of small order, for which anybody can make signatures"


@pytest.mark.parametrize(
    ("public", "where"),
    [
        pytest.param(
            # RFC 6979 appendix A.2.5, a test key: the private key is printed there.
            ec.EllipticCurvePublicNumbers(
                0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6,
                0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299,
                ec.SECP256R1(),
            ).public_key(),
            "RFC 6979 appendix A.2.5",
            id="P-256",
        ),
        pytest.param(
            ed25519.Ed25519PublicKey.from_public_bytes(
                bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
            ),
            "RFC 8032 §7.1 and RFC 8037 appendix A",
            id="Ed25519",
        ),
        pytest.param(
            mldsa.MLDSA65PrivateKey.from_seed_bytes(bytes(range(32))).public_key(), "RFC 9881 appendix C.1", id="ML-DSA"
        ),
    ],
)
def test_a_key_of_a_standard_is_known(public: CertificatePublicKeyTypes, where: str) -> None:
    """The message says where its private key is found."""
    assert weakness(public) == f"its private key is published: {where}"


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # for keys of other kinds
def test_the_private_keys_of_the_test_vectors_are_known() -> None:
    """Every private key in PEM among the vectors of pyca/cryptography, of a kind in use here, is on the list."""
    found = set()
    for directory, _, files in os.walk(Path(cryptography_vectors.__file__).parent / "asymmetric"):
        for name in files:
            text = (Path(directory) / name).read_bytes()
            for block in re.findall(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*-----", text, re.DOTALL):
                try:
                    public = keys.supported(load_pem_private_key(block, None).public_key())
                except (ValueError, TypeError, UnsupportedAlgorithm, Refused):
                    continue
                found.add(keys.spki_sha256(public))
    assert len(found) > 10
    assert found <= set(PUBLISHED)
