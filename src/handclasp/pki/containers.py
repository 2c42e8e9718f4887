"""Reading a file of certificates and keys, whatever its form: PEM, DER, PKCS#7, PKCS#12, or a store of Java.

The bytes decide what a thing is and not the file's name or the words around it: files with a wrong label, with text
between the blocks, or in UTF-16 are common.
"""

from __future__ import annotations

import base64
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import NoReturn, TypeVar

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_ssh_private_key,
)

from handclasp.findings import Code, Refused
from handclasp.pki import armour, ber, jks, pbe, pkcs7, pkcs12
from handclasp.pki.pbe import Budget, Unopenable, WrongPassphrase

MAX_SIZE = 16 << 20  # bytes; a CRL with 400,000 entries
MAX_KEY = 10 << 10  # bytes; an RSA key of 16,384 bits is as large
MAX_FAULTS = 50

T = TypeVar("T")
Key = TypeVar("Key")
_IGNORED = {"EC PARAMETERS", "DH PARAMETERS", "X9.42 DH PARAMETERS", "DSA PARAMETERS"}
_LABELS = {  # what a block of this label holds
    "CERTIFICATE": "certificate",
    "X509 CERTIFICATE": "certificate",
    "TRUSTED CERTIFICATE": "certificate",
    "CERTIFICATE REQUEST": "certificate request",
    "NEW CERTIFICATE REQUEST": "certificate request",
    "X509 CRL": "CRL",
    "PKCS7": "PKCS#7",
    "CMS": "PKCS#7",
    "PKCS12": "PKCS#12",
    "PUBLIC KEY": "public key",
    "RSA PUBLIC KEY": "public key",
}
# What the library raises for bytes that are not what they should be; not all of it is documented.
UNREADABLE = (ValueError, TypeError, OverflowError, InternalError, UnsupportedAlgorithm, x509.InvalidVersion)


@dataclass(frozen=True, slots=True)
class FoundCertificate:
    """A certificate, its friendly name in PKCS#12, and whether the file marks it as a trust anchor for Java."""

    certificate: x509.Certificate
    name: str | None = None
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A private key. ``key`` is None where it is encrypted and no passphrase was given; ``form`` is its syntax."""

    key: PrivateKeyTypes | None
    encrypted: bool
    form: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a file holds, each kind in the order of the file. ``faults`` says what in it could not be read."""

    form: str
    certificates: tuple[FoundCertificate, ...] = ()
    keys: tuple[FoundKey, ...] = ()
    requests: tuple[x509.CertificateSigningRequest, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    public_keys: tuple[PublicKeyTypes, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    passphrase: bytes | None
    budget: Budget = field(default_factory=Budget)
    certificates: list[FoundCertificate] = field(default_factory=list)
    keys: list[FoundKey] = field(default_factory=list)
    requests: list[x509.CertificateSigningRequest] = field(default_factory=list)
    crls: list[x509.CertificateRevocationList] = field(default_factory=list)
    public_keys: list[PublicKeyTypes] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        if text in self.faults:
            return
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(text)
        elif len(self.faults) == MAX_FAULTS:
            self.faults.append("there are more faults than are told here")

    def contents(self, form: str) -> Contents:
        return Contents(
            form,
            tuple(self.certificates),
            tuple(self.keys),
            tuple(self.requests),
            tuple(self.crls),
            tuple(self.public_keys),
            tuple(self.faults),
        )


def read(data: bytes, passphrase: bytes | None = None) -> Contents:
    """The certificates, keys, requests and CRLs in the bytes of a file; at least one of them.

    ``passphrase`` opens whatever is encrypted, and is ignored where nothing is. Without it, encrypted PEM and PKCS#8
    keys are told of but not opened. Raises Refused: FILE_UNRECOGNIZED where nothing can be read or the file asks for
    too much work, FILE_PASSPHRASE_MISSING for a PKCS#12 that needs one, FILE_PASSPHRASE_WRONG.
    """
    if len(data) > MAX_SIZE:
        _unrecognized(f"it is larger than {MAX_SIZE >> 20} MB")
    found = _Found(passphrase)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about what it will not read some day
        try:
            form = _read(found, data)
        except WrongPassphrase as error:
            _wrong(str(error))
        except pkcs12.NeedsPassphrase:
            raise Refused(
                Code.FILE_PASSPHRASE_MISSING,
                "The file is encrypted",
                "no passphrase was given",
                "Give it with --password-file, - for standard input.",
            ) from None
        except Unopenable as error:
            _unrecognized(str(error))
    contents = found.contents(form)
    if contents == Contents(form, faults=contents.faults):
        _unrecognized("; ".join(contents.faults[:3]) or "there is no certificate, key, request or CRL in it")
    return contents


def explained(error: Exception) -> str:
    """What the library says, for a person and bounded: it may quote the file."""
    if isinstance(error, InternalError):
        return "OpenSSL does not take it"
    text = str(error)
    if text.startswith("error parsing asn1 value"):
        place = re.findall(r'"\w+::(\w+)"', text)
        return f"it is malformed at {place[-1]}" if place else "it is malformed"
    if text.startswith(("Could not deserialize", "Unable to load")):
        return "it is malformed, or of a kind that is not supported"
    text = (text or type(error).__name__).partition("\n")[0].partition(". ")[0]
    return text if len(text) <= 120 else f"{text[:117]}..."


def _read(found: _Found, data: bytes) -> str:
    if not data.strip():
        _unrecognized("it is empty")
    if data[:4] in jks.MAGIC:
        return _java_store(found, data)
    if data[:1] == b"\x30" and _is_der(data):
        return _each_der(found, data)
    text = armour.ascii_text(data)
    if armour.BEGIN in text:
        for label, body in armour.blocks(text, found.fault):
            _block(found, label, body)
        return "PEM"
    bare = armour.base64_bytes(text)
    if bare is not None and bare[:1] == b"\x30" and _is_der(bare):
        return f"{_each_der(found, bare)} in base64"
    if data[:1] == b"\x30":
        _unrecognized("it starts like DER, but is cut off or damaged")
    _unrecognized("it is neither PEM nor DER")


def _java_store(found: _Found, data: bytes) -> str:
    try:
        _take_bags(found, jks.decode(data, found.passphrase, found.budget))
    except (WrongPassphrase, Unopenable):
        raise
    except ValueError as error:
        _unrecognized(f"it is a Java key store ({jks.MAGIC[data[:4]]}), but cannot be read: {explained(error)}")
    return jks.MAGIC[data[:4]]


def _is_der(data: bytes) -> bool:
    try:
        ber.definite(data) if data[1:2] == b"\x80" else next(ber.each(data))
    except ValueError:
        return False
    return True


def _each_der(found: _Found, data: bytes) -> str:
    """One thing after the other, as `cat` makes of several files; returns the form of the first."""
    form = ""
    if data[1:2] == b"\x80":
        data = ber.definite(data)
    try:
        for count, node in enumerate(ber.each(data)):
            if count and node.tag != ber.SEQUENCE:
                found.fault("there are bytes after the end that belong to nothing")
                break
            kind = _take(found, node.encoded)
            form = form or (kind if kind in ("PKCS#7", "PKCS#12") else "DER")
    except (WrongPassphrase, Unopenable, pkcs12.NeedsPassphrase):
        raise
    except ValueError:
        found.fault("there are bytes after the end that belong to nothing")
    return form


def _block(found: _Found, label: str, body: bytes) -> None:
    if label in _IGNORED:
        return
    if b"DEK-Info:" in body:
        _old_encrypted_key(found, label, body)
        return
    if label == "OPENSSH PRIVATE KEY":
        _openssh_key(found, body)
        return
    inside = armour.base64_bytes(body)
    if inside is None:
        found.fault(f"a block {label} is not base64")
        return
    kind = _take(found, inside, f"a block {label}")
    expected = "private key" if label.endswith("PRIVATE KEY") else _LABELS.get(label)
    if kind and expected and kind != expected:
        found.fault(f"a block is labelled {label} but holds a {kind}; it is read as what it is")


def _take(found: _Found, data: bytes, where: str = "it") -> str:
    """Read one thing by its shape; returns what it is, or an empty text with the fault told."""
    try:
        node = ber.one(data)
        parts = tuple(islice(ber.each(node.content), 9))
        kind, take = _recognized(parts) if node.tag == ber.SEQUENCE else ("", None)
    except ValueError as error:
        found.fault(f"{where} cannot be read: {error}")
        return ""
    if take is None:
        found.fault(f"{where} holds nothing that is known here")
        return ""
    try:
        return take(found, node.encoded) or kind
    except (WrongPassphrase, Unopenable, pkcs12.NeedsPassphrase):
        raise
    except UNREADABLE as error:
        found.fault(f"{where} looks like a {kind}, but cannot be read: {explained(error)}")
        return ""


_Take = Callable[[_Found, bytes], str | None]


def _recognized(parts: tuple[ber.Node, ...]) -> tuple[str, _Take | None]:
    """What an outermost SEQUENCE with these first elements is, by the tags that its specification gives it."""
    tags = tuple(part.tag for part in parts)
    if tags[:1] == (ber.OBJECT_IDENTIFIER,):
        return "PKCS#7", _take_pkcs7
    if tags[:2] == (ber.INTEGER, ber.SEQUENCE):
        inner = ber.oid(ber.one(parts[1].content))
        return ("PKCS#12", _take_pkcs12) if inner.startswith("1.2.840.113549.1.7.") else ("private key", _take_pkcs8)
    if tags[:2] == (ber.INTEGER, ber.OCTET_STRING):
        return "private key", _take_sec1
    if tags[:2] == (ber.INTEGER, ber.INTEGER):
        if len(tags) == 2:
            return "public key", _take_public
        return "private key", _take_dsa if len(tags) == 6 else _take_pkcs1
    if tags == (ber.SEQUENCE, ber.OCTET_STRING):
        return "private key", _take_encrypted
    if tags == (ber.SEQUENCE, 0x03):
        return "public key", _take_public
    if tags[:3] == (ber.SEQUENCE, ber.SEQUENCE, 0x03):
        return _signed(parts[0])
    return "", None


def _signed(tbs: ber.Node) -> tuple[str, _Take]:
    """A certificate, a request or a CRL by its first elements (RFC 5280 §4.1 and §5.1, RFC 2986 §4.1)."""
    tags = tuple(part.tag for part in islice(ber.each(tbs.content), 4))
    if tags[:1] == (ber.SEQUENCE,) or tags[3:] in ((0x17,), (0x18,)):
        return "CRL", _take_crl
    if tags[:1] == (ber.INTEGER,) and tags[3:] != (ber.SEQUENCE,):
        return "certificate request", _take_request
    return "certificate", _take_certificate


def _take_certificate(found: _Found, data: bytes) -> None:
    found.certificates.append(FoundCertificate(x509.load_der_x509_certificate(data)))


def _take_request(found: _Found, data: bytes) -> None:
    found.requests.append(x509.load_der_x509_csr(data))


def _take_crl(found: _Found, data: bytes) -> None:
    found.crls.append(x509.load_der_x509_crl(data))


def _take_pkcs7(found: _Found, data: bytes) -> None:
    collection = pkcs7.decode(data)
    for one in collection.certificates:
        _try(found, "a certificate in it", _take_certificate, one)
    for one in collection.crls:
        _try(found, "a CRL in it", _take_crl, one)


def _take_pkcs12(found: _Found, data: bytes) -> None:
    _take_bags(found, pkcs12.decode(data, found.passphrase, found.budget))


def _take_bags(found: _Found, bags: pkcs12.Bags) -> None:
    for bag in bags.certificates:
        certificate = _try(found, "a certificate in it", _certificate, bag.der)
        if certificate is not None:
            found.certificates.append(FoundCertificate(certificate, bag.name, bag.trusted))
    for bag in bags.keys:
        key = None if bag.locked else _try(found, "a private key in it", _private, bag.der)
        if key is not None or bag.locked:
            found.keys.append(FoundKey(key, bag.encrypted, "PKCS#8", bag.name))
    for bag in bags.crls:
        _try(found, "a CRL in it", _take_crl, bag.der)
    for other in bags.others:
        found.fault(f"it holds {other}")


def _certificate(_: _Found, data: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(data)


def _private(_: _Found, data: bytes, passphrase: bytes | None = None) -> PrivateKeyTypes:
    if len(data) > MAX_KEY:
        raise ValueError(f"it is larger than {MAX_KEY >> 10} kB")
    return _consistent(load_der_private_key(data, passphrase, unsafe_skip_rsa_key_validation=True))


def _consistent(key: Key) -> Key:
    """The same key. Raises ValueError for an RSA key whose numbers do not belong together (RFC 8017 §3.2).

    The library would also test whether the factors are prime, which takes 19 s for a key of 8,192 bits and proves
    nothing of use to a reader of files: a damaged key fails here too.
    """
    if isinstance(key, RSAPrivateKey):
        private = key.private_numbers()
        n, e, p, q, d = private.public_numbers.n, private.public_numbers.e, private.p, private.q, private.d
        whole = p > 1 and q > 1 and p * q == n and n % 2 == 1
        if not whole or (e * d - 1) % (p - 1) or (e * d - 1) % (q - 1) or private.iqmp * q % p != 1:
            raise ValueError("the numbers of the RSA key do not belong together: it is damaged")
        if private.dmp1 != d % (p - 1) or private.dmq1 != d % (q - 1):
            raise ValueError("the numbers of the RSA key do not belong together: it is damaged")
    return key


def _take_pkcs8(found: _Found, data: bytes) -> None:
    found.keys.append(FoundKey(_private(found, data), False, "PKCS#8"))


def _take_pkcs1(found: _Found, data: bytes) -> None:
    found.keys.append(FoundKey(_private(found, data), False, "PKCS#1"))


def _take_sec1(found: _Found, data: bytes) -> None:
    found.keys.append(FoundKey(_private(found, data), False, "SEC 1"))


def _take_dsa(found: _Found, data: bytes) -> None:
    found.keys.append(FoundKey(_private(found, data), False, "the old form of OpenSSL"))


def _take_public(found: _Found, data: bytes) -> None:
    found.public_keys.append(load_der_public_key(data))


def _take_encrypted(found: _Found, data: bytes) -> None:
    pbe.pay(ber.children(ber.one(data))[0], found.budget)
    if found.passphrase is None:
        found.keys.append(FoundKey(None, True, "PKCS#8"))
        return
    try:
        key = _private(found, data, found.passphrase)
    except (ValueError, TypeError, InternalError):
        raise WrongPassphrase("the passphrase does not open the private key, or the key is damaged") from None
    found.keys.append(FoundKey(key, True, "PKCS#8"))


def _old_encrypted_key(found: _Found, label: str, body: bytes) -> None:
    """The encryption of PEM itself (RFC 1421 §4.6.1.3), with one round of MD5: no cost to bound."""
    if not label.endswith("PRIVATE KEY"):
        found.fault(f"a block {label} is encrypted, which only keys are")
        return
    form = "the old encrypted PEM of OpenSSL"
    if found.passphrase is None:
        found.keys.append(FoundKey(None, True, form))
        return
    lines = [line.strip() for line in body.replace(b"\r", b"\n").split(b"\n")]
    headers = [line for line in lines if b":" in line]
    coded = [line for line in lines if line and b":" not in line]
    if len(body) > 2 * MAX_KEY:
        found.fault(f"a block {label} is too large for a key")
        return
    name = label.encode("ascii", "replace")
    clean = b"\n".join((b"-----BEGIN %b-----" % name, *headers, b"", *coded, b"-----END %b-----" % name, b""))
    try:
        key = load_pem_private_key(clean, found.passphrase, unsafe_skip_rsa_key_validation=True)
        found.keys.append(FoundKey(_consistent(key), True, form))
    except (ValueError, TypeError, InternalError):
        raise WrongPassphrase("the passphrase does not open the private key, or the key is damaged") from None
    except UnsupportedAlgorithm as error:
        found.fault(f"a private key is encrypted in a way that is not read here: {explained(error)}")


def _openssh_key(found: _Found, body: bytes) -> None:
    inside = armour.base64_bytes(body)
    advice = "ssh-keygen -p -m PKCS8 -f FILE rewrites it"
    if inside is None or not inside.startswith(b"openssh-key-v1\x00"):
        found.fault("a block OPENSSH PRIVATE KEY cannot be read")
    elif not inside[15:].startswith(b"\x00\x00\x00\x04none"):
        found.fault(f"a private key is encrypted in the form of OpenSSH, which is not read here: {advice}")
    else:
        coded = base64.encodebytes(inside)
        clean = b"-----BEGIN OPENSSH PRIVATE KEY-----\n%b-----END OPENSSH PRIVATE KEY-----\n" % coded
        _try(found, "a block OPENSSH PRIVATE KEY", _take_openssh, clean)


def _take_openssh(found: _Found, data: bytes) -> None:
    key = _consistent(load_ssh_private_key(data, None, unsafe_skip_rsa_key_validation=True))
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | DSAPrivateKey):
        raise TypeError("it is a key of a kind that only OpenSSH has")
    found.keys.append(FoundKey(key, False, "OpenSSH"))


def _try(found: _Found, where: str, load: Callable[[_Found, bytes], T], data: bytes) -> T | None:
    try:
        return load(found, data)
    except UNREADABLE as error:
        found.fault(f"{where} cannot be read: {explained(error)}")
        return None


def _wrong(why: str) -> NoReturn:
    raise Refused(
        Code.FILE_PASSPHRASE_WRONG, "The file does not open", why, "Give the passphrase with which the file was made."
    ) from None


def _unrecognized(
    why: str, fix: str = "Give a certificate, key, request, CRL, PKCS#12 or PKCS#7 file, in PEM or DER."
) -> NoReturn:
    raise Refused(Code.FILE_UNRECOGNIZED, "The file cannot be read", why, fix) from None
