"""Private keys under a passphrase: PKCS#8 EncryptedPrivateKeyInfo (RFC 5958 §3) with PBES2 (RFC 8018 §6.2).

Written with scrypt (RFC 7914 §7) and AES-256-CBC, as ``openssl pkcs8 -topk8 -scrypt`` does, so that ``openssl pkey``
reads it. Read whatever ``cryptography`` reads, after a look at what it would cost: the file says how much memory and
time its key derivation takes, and a file is not to be trusted with that.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from handclasp.pki import der

# 16 MiB, and the work of N=2^17, r=8, p=1. OpenSSL reads no key that takes 32 MiB or more, so the work is in p and
# not in N; RFC 7914 §2 lets p be raised for that.
N, R, P = 1 << 14, 8, 8
SALT_BYTES, IV_BYTES = 16, 16

# What a file may ask for before its passphrase is known to be right.
MAX_MEMORY = 256 << 20
MAX_WORK = 1 << 23  # N * r * p; about 4 seconds
MAX_ITERATIONS = 5_000_000  # of PBKDF2 and its elders; about 4 seconds

_INTEGER, _OCTETS, _OID = 0x02, 0x04, 0x06
_PBES2 = bytes.fromhex("2a864886f70d01050d")
_PBKDF2 = bytes.fromhex("2a864886f70d01050c")
_SCRYPT = bytes.fromhex("2b06010401da47040b")
_SCRYPT_TAGS = [_OCTETS, _INTEGER, _INTEGER, _INTEGER]
_AES_256_CBC = bytes.fromhex("60864801650304012a")

_BLOCK = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----(.*?)-----", re.DOTALL)
_FIRST = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_BEGIN = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


class PassphraseMissing(ValueError):
    """The key is encrypted, and no passphrase was given."""


class PassphraseWrong(ValueError):
    """The passphrase does not open the key; or what is encrypted is damaged, which nobody can tell from outside."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """How to encrypt one key: the passphrase, 16 random bytes each of salt and IV, and the cost of a guess.

    ``n``, ``r`` and ``p`` are scrypt's: a guess takes 128 * n * r bytes of memory, and time in n * r * p. A salt and
    IV serve for one key and one passphrase.
    """

    passphrase: bytes = field(repr=False)
    salt: bytes
    iv: bytes
    n: int = N
    r: int = R
    p: int = P

    def __post_init__(self) -> None:
        if not self.passphrase or len(self.salt) < SALT_BYTES or len(self.iv) != IV_BYTES:
            raise ValueError("a passphrase, a salt of 16 bytes or more, and an IV of 16 bytes")
        if self.n < 2 or self.n & (self.n - 1):
            raise ValueError("n is a power of 2")
        _affordable(self.n, self.r, self.p)


def encrypted_der(key: bytes, encryption: Encryption) -> bytes:
    """The EncryptedPrivateKeyInfo of a PrivateKeyInfo; both DER."""
    e = encryption
    padder = PKCS7(128).padder()
    cipher = Cipher(algorithms.AES256(_derived(e)), modes.CBC(e.iv)).encryptor()
    hidden = cipher.update(padder.update(key) + padder.finalize()) + cipher.finalize()
    scrypt = _sequence(der.encode(_OCTETS, e.salt) + _integer(e.n) + _integer(e.r) + _integer(e.p))
    pbes2 = _sequence(_algorithm(_SCRYPT, scrypt) + _algorithm(_AES_256_CBC, der.encode(_OCTETS, e.iv)))
    return _sequence(_algorithm(_PBES2, pbes2) + der.encode(_OCTETS, hidden))


def encrypted_pem(key: bytes, encryption: Encryption) -> bytes:
    """The same as PEM (RFC 7468 §11), of a PrivateKeyInfo in DER."""
    text = base64.b64encode(encrypted_der(key, encryption))
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join((_BEGIN, *lines, b"-----END ENCRYPTED PRIVATE KEY-----", b""))


def is_encrypted(pem: bytes) -> bool:
    """Whether the key in a PEM file is under a passphrase, by what its lines say of it."""
    return _BEGIN in pem or b"\nProc-Type: 4,ENCRYPTED" in pem.replace(b"\r", b"")


def load_pem(pem: bytes, passphrase: bytes | None = None) -> PrivateKeyTypes:
    """The first private key of a PEM file; a passphrase that is not needed is not used.

    Raises PassphraseMissing, PassphraseWrong, and ValueError for what is no key, or costs too much to open. No
    message quotes from the file. Takes up to a few seconds where there is a passphrase; other threads run meanwhile
    if the key is of the form that is written here.
    """
    blocks = _BLOCK.findall(pem)
    if len(blocks) != pem.count(_BEGIN):
        raise ValueError("an encrypted key in it has no end")
    for text in blocks:
        try:
            hidden = base64.b64decode(b"".join(text.split()), validate=True)
        except binascii.Error:
            raise ValueError("an encrypted key in it is not in base64") from None
        check_cost(hidden)
    if (first := _FIRST.search(pem)) and first[0] == _BEGIN:
        return load_der(base64.b64decode(b"".join(blocks[0].split())), passphrase)
    encrypted = is_encrypted(pem)
    if encrypted and not passphrase:
        raise PassphraseMissing("the private key is encrypted")
    try:
        return load_pem_private_key(pem, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _told(error, encrypted) from None


def load_der(data: bytes, passphrase: bytes | None = None) -> PrivateKeyTypes:
    """As ``load_pem``, of DER: a PrivateKeyInfo, an EncryptedPrivateKeyInfo, or the older forms of RSA and EC keys."""
    encrypted = _looks_encrypted(data)
    if encrypted:
        check_cost(data)
        if not passphrase:
            raise PassphraseMissing("the private key is encrypted")
        opened = _opened(data, passphrase)
        if opened is not None:
            data, passphrase = opened, None
    try:
        return load_der_private_key(data, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _told(error, encrypted) from None


def check_cost(encrypted: bytes) -> None:
    """Returns if opening this EncryptedPrivateKeyInfo takes no more than MAX_MEMORY and a few seconds.

    Raises ValueError otherwise, and for what is none, or is encrypted in a way of which that cannot be told.
    """
    (outer,) = _parts(encrypted, 1)
    algorithm, _ = _parts(outer.content, 2)
    check_algorithm(algorithm.content)


def check_algorithm(identifier: bytes) -> None:
    """``check_cost`` of an encryption's AlgorithmIdentifier alone (the content of it), as PKCS#12 has them too."""
    name, parameters = _parts(identifier, 2)
    if name.content == _PBES2:
        derivation, _ = _parts(parameters.content, 2)
        name, parameters = _parts(derivation.content, 2)
        if name.content == _SCRYPT:
            values = [part for part in der.elements(parameters.content) if part.tag == _INTEGER]
            if len(values) < 3:
                raise ValueError("the parameters of scrypt cannot be read")
            _affordable(*(_number(part) for part in values[:3]))
            return
        if name.content != _PBKDF2:
            raise ValueError("the passphrase is used in a way that is not known here")
    # PBKDF2, and PBES1 and PKCS#12 alike: the salt, then how often (RFC 8018 §A.2 and §A.3, RFC 7292 §C).
    _, times, *_ = (*der.elements(parameters.content), None, None)
    if times is None or times.tag != _INTEGER:
        raise ValueError("the parameters of the encryption cannot be read")
    if _number(times) > MAX_ITERATIONS:
        raise ValueError(f"it wants more than {MAX_ITERATIONS:,} iterations for a passphrase")


def _affordable(n: int, r: int, p: int) -> None:
    if min(n, r, p) < 1 or 128 * n * r > MAX_MEMORY or n * r * p > MAX_WORK:
        raise ValueError(f"its scrypt parameters want more than {MAX_MEMORY >> 20} MiB or more than a few seconds")


def _number(element: der.Element) -> int:
    # Eight octets hold every number that is affordable; one of a megabyte would cost something to multiply.
    return int.from_bytes(element.content[:9], "big")


def _opened(data: bytes, passphrase: bytes) -> bytes | None:
    """The PrivateKeyInfo of an EncryptedPrivateKeyInfo that is as we write it; None if it is another's.

    ``cryptography`` could open it as well, but lets nothing else of the process run while it does.
    """
    (outer,) = _parts(data, 1)
    algorithm, hidden = _parts(outer.content, 2)
    name, parameters = _parts(algorithm.content, 2)
    if name.content != _PBES2:
        return None
    (derivation, derived_by), (cipher, iv) = (_parts(part.content, 2) for part in _parts(parameters.content, 2))
    found = tuple(der.elements(derived_by.content))
    ours = (derivation.content, cipher.content, [part.tag for part in found]) == (_SCRYPT, _AES_256_CBC, _SCRYPT_TAGS)
    if not ours or len(iv.content) != IV_BYTES or not hidden.content or len(hidden.content) % 16:
        return None
    salt, n, r, p = found
    try:
        secret = Scrypt(salt=salt.content, length=32, n=_number(n), r=_number(r), p=_number(p)).derive(passphrase)
    except ValueError:
        raise ValueError("the parameters of scrypt cannot be used") from None
    decryptor = Cipher(algorithms.AES256(secret), modes.CBC(iv.content)).decryptor()
    unpadder = PKCS7(128).unpadder()
    try:
        padded = decryptor.update(hidden.content) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise PassphraseWrong("the passphrase does not open the private key") from None


def _derived(e: Encryption) -> bytes:
    return Scrypt(salt=e.salt, length=32, n=e.n, r=e.r, p=e.p).derive(e.passphrase)


def _told(error: Exception, encrypted: bool) -> ValueError:
    # A wrong passphrase gives right padding once in 256 times, and then something that is no key.
    if encrypted and not isinstance(error, UnsupportedAlgorithm):
        return PassphraseWrong("the passphrase does not open the private key")
    return ValueError("there is no readable private key in it")


def _looks_encrypted(data: bytes) -> bool:
    """By its first element: an AlgorithmIdentifier, where every other form has a version."""
    try:
        (outer,) = _parts(data, 1)
        return next(der.elements(outer.content)).tag == der.SEQUENCE
    except (ValueError, StopIteration):
        return False


def _parts(data: bytes, count: int) -> tuple[der.Element, ...]:
    found = tuple(der.elements(data))
    if len(found) != count:
        raise ValueError("it is no EncryptedPrivateKeyInfo")
    return found


def _sequence(content: bytes) -> bytes:
    return der.encode(der.SEQUENCE, content)


def _algorithm(name: bytes, parameters: bytes) -> bytes:
    return _sequence(der.encode(_OID, name) + parameters)


def _integer(value: int) -> bytes:
    return der.encode(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))
