"""PKCS#12 files (RFC 7292): key and chain in one file, as browsers, Windows and Java read them.

Written by the library. Read here, because the library reads one key of a file, no key of ML-DSA and no CRL, and does
as many rounds as a file asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    pkcs12,
)

from handclasp.findings import InvalidSetting
from handclasp.pki import ber, der, pbe
from handclasp.pki.ber import Node
from handclasp.pki.pbe import Budget, WrongPassphrase

_DATA = "1.2.840.113549.1.7.1"
_ENCRYPTED_DATA = "1.2.840.113549.1.7.6"
_BAG = "1.2.840.113549.1.12.10.1."
_X509_CERTIFICATE, _X509_CRL = "1.2.840.113549.1.9.22.1", "1.2.840.113549.1.9.23.1"
_FRIENDLY_NAME, _LOCAL_KEY_ID = "1.2.840.113549.1.9.20", "1.2.840.113549.1.9.21"
_JAVA_TRUSTED = "2.16.840.1.113894.746875.1.1"
_PFX_HEAD = bytes.fromhex("020103")  # version 3
_CONTENT_DATA = bytes.fromhex("06092a864886f70d010701")
MAX_BAGS = 20_000
MAX_NESTING = 4


@dataclass(frozen=True, slots=True)
class Bag:
    """One thing in a file: its DER, its friendly name, and whether Java takes it for a trust anchor.

    A key is a PrivateKeyInfo; where the passphrase does not open it, an EncryptedPrivateKeyInfo, and ``locked``.
    """

    der: bytes
    name: str | None
    trusted: bool = False
    locked: bool = False
    encrypted: bool = False


@dataclass(slots=True)
class Bags:
    """All that a file holds, in its order. ``others`` says what is in it that is not read."""

    certificates: list[Bag] = field(default_factory=list)
    keys: list[Bag] = field(default_factory=list)
    crls: list[Bag] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


class NeedsPassphrase(ValueError):
    """The file does not open without a passphrase."""


def encode(
    name: str,
    key: PrivateKeyTypes | None,
    chain: Sequence[x509.Certificate],
    passphrase: bytes,
) -> bytes:
    """A PKCS#12 file: ``chain`` is the certificate of ``key`` and its issuers, ``name`` the friendly name.

    AES-256-CBC with PBKDF2-HMAC-SHA256 and a SHA-256 MAC (RFC 8018, RFC 7292 §4). OpenSSL's count of rounds
    for the MAC (2048) cannot be raised here and is what a guesser works against, so more rounds elsewhere
    would buy nothing: the passphrase must be a good one. ``key=None`` writes certificates only. Raises
    InvalidSetting for an empty passphrase, ValueError if the first certificate is not the key's, and TypeError for
    a key that the library does not write to PKCS#12 (ML-DSA).
    """
    encryption = _encryption(passphrase)
    if not chain or (key is not None and _spki(chain[0].public_key()) != _spki(key.public_key())):
        raise ValueError("the first certificate of the chain does not belong to the key")
    return pkcs12.serialize_key_and_certificates(name.encode(), key, chain[0], chain[1:], encryption)  # type: ignore[arg-type]


def encode_trust_store(certificates: Sequence[tuple[str, x509.Certificate]], passphrase: bytes) -> bytes:
    """A trust store for Java: each certificate under its alias, marked as trusted with Oracle's attribute.

    Java ignores certificates without that mark. Raises InvalidSetting for an empty passphrase, and ValueError where
    there are no certificates or an alias comes twice (Java does not tell capitals from small letters).
    """
    aliases = [alias.lower() for alias, _ in certificates]
    if not aliases or len(set(aliases)) != len(aliases):
        raise ValueError("a trust store needs certificates, each under an alias of its own")
    entries = [pkcs12.PKCS12Certificate(certificate, alias.encode()) for alias, certificate in certificates]
    return pkcs12.serialize_java_truststore(entries, _encryption(passphrase))


def decode(data: bytes, passphrase: bytes | None, budget: Budget) -> Bags:
    """What a PKCS#12 file in DER or BER holds, its MAC checked.

    Without a passphrase the two spellings of "no passphrase" are tried (none at all, and an empty one). Keys that stay
    locked then are returned ``locked``. Raises NeedsPassphrase, WrongPassphrase, pbe.Unopenable, and ValueError for
    what is no PKCS#12.
    """
    parts = ber.children(ber.one(ber.definite(data)))
    if len(parts) < 2 or ber.integer(parts[0]) != 3:
        raise ValueError("it is no PKCS#12 of version 3")
    info = ber.children(parts[1])
    if len(info) != 2 or ber.oid(info[0]) != _DATA:
        raise ValueError("it is protected by a signature and not by a passphrase, which is not read here")
    safe = ber.octets(ber.one(info[1].content))
    candidates = [passphrase] if passphrase else [None, b""]
    missing = NeedsPassphrase if passphrase is None else WrongPassphrase
    if len(parts) > 2:
        candidates = [one for one in candidates if pbe.check_mac(parts[2], one, safe, budget)]
        if not candidates:
            raise missing("the passphrase does not open it")
    bags = Bags()
    for content in ber.children(ber.one(ber.definite(safe))):
        kind, value = ber.children(content)
        if ber.oid(kind) == _DATA:
            _collect(bags, ber.octets(ber.one(value.content)), candidates, budget)
        elif ber.oid(kind) == _ENCRYPTED_DATA:
            try:
                _open(bags, content, candidates, budget)
            except WrongPassphrase:
                raise missing("the passphrase does not open it") from None
        else:
            bags.others.append("a part that is encrypted for a certificate, which is not read here")
    if passphrase is not None and any(key.locked for key in bags.keys):
        raise WrongPassphrase("the passphrase opens the file, but not the key in it")
    return bags


def _open(bags: Bags, content: Node, candidates: Sequence[bytes | None], budget: Budget) -> None:
    """An encrypted part: EncryptedData of PKCS#7 (RFC 2315 §13)."""
    body = ber.children(ber.one(ber.children(content)[1].content))
    info = ber.children(body[1])
    if len(info) < 3:
        raise ValueError("an encrypted part is empty")
    data = info[2].content
    if info[2].tag & ber.CONSTRUCTED:
        data = b"".join(ber.octets(piece) for piece in ber.each(data))
    if ber.oid(ber.children(info[1])[0]) == pbe.RC2_40:
        _open_by_library(bags, content, info[1], candidates, budget)
        return
    for candidate in candidates:
        try:
            plain = pbe.decrypt(info[1], candidate, data, budget)
            ber.children(ber.one(plain))  # a wrong passphrase has the right padding once in 256 times
        except pbe.Unopenable:
            raise
        except ValueError:
            continue
        _collect(bags, plain, candidates, budget)
        return
    raise WrongPassphrase("the passphrase does not open it")


def _open_by_library(
    bags: Bags, content: Node, algorithm: Node, candidates: Sequence[bytes | None], budget: Budget
) -> None:
    """RC2 with 40 bits, which only OpenSSL's PKCS#12 reader still has: this part alone, as a file of its own."""
    safe = der.encode(ber.SEQUENCE, content.encoded)
    data = der.encode(ber.SEQUENCE, _CONTENT_DATA + der.encode(0xA0, der.encode(ber.OCTET_STRING, safe)))
    for candidate in candidates:
        pbe.pay(algorithm, budget)
        # By its MAC OpenSSL tells no passphrase from an empty one.
        file = der.encode(ber.SEQUENCE, _PFX_HEAD + data + pbe.mac(candidate, safe))
        try:
            found = pkcs12.load_pkcs12(file, candidate)
        except (ValueError, TypeError, InternalError, UnsupportedAlgorithm):
            continue
        for one in (found.cert, *found.additional_certs):
            if one is not None:
                name = one.friendly_name
                plain = one.certificate.public_bytes(Encoding.DER)
                bags.certificates.append(Bag(plain, name.decode(errors="replace") if name else None))
        if found.key is not None:
            plain = found.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            bags.keys.append(Bag(plain, None, encrypted=True))
        return
    raise WrongPassphrase("the passphrase does not open it")


def _collect(bags: Bags, data: bytes, candidates: Sequence[bytes | None], budget: Budget, nesting: int = 0) -> None:
    """The bags of SafeContents (RFC 7292 §4.2)."""
    if nesting > MAX_NESTING:
        raise ValueError("bags are nested too deep")
    for bag in ber.each(ber.one(ber.definite(data)).content):
        if len(bags.certificates) + len(bags.keys) + len(bags.crls) >= MAX_BAGS:
            raise ValueError(f"it holds more than {MAX_BAGS} things")
        parts = ber.children(bag)
        kind = ber.oid(parts[0]).removeprefix(_BAG)
        value = ber.one(parts[1].content)
        name, trusted = _attributes(parts[2]) if len(parts) > 2 else (None, False)
        match kind:
            case "1":  # keyBag
                bags.keys.append(Bag(value.encoded, name))
            case "2":  # pkcs8ShroudedKeyBag
                bags.keys.append(_unlocked(value, name, candidates, budget))
            case "3" | "4":  # certBag, crlBag
                type_, wrapped = ber.children(value)[:2]
                plain = ber.octets(ber.one(wrapped.content))
                if ber.oid(type_) == _X509_CERTIFICATE:
                    bags.certificates.append(Bag(plain, name, trusted))
                elif ber.oid(type_) == _X509_CRL:
                    bags.crls.append(Bag(plain, name))
                else:
                    bags.others.append("a certificate of a kind that is not read here")
            case "5":  # secretBag
                bags.others.append("a secret key" + (f" named {name}" if name else "") + ", which is not read here")
            case "6":  # safeContentsBag
                _collect(bags, value.encoded, candidates, budget, nesting + 1)
            case _:
                bags.others.append("something of a kind that is not read here")


def _unlocked(value: Node, name: str | None, candidates: Sequence[bytes | None], budget: Budget) -> Bag:
    algorithm, encrypted = ber.children(value)[:2]
    for candidate in candidates:
        try:
            if ber.oid(ber.children(algorithm)[0]) == pbe.RC2_40:
                pbe.pay(algorithm, budget)
                key = load_der_private_key(value.encoded, candidate or b"")
                plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            else:
                plain = pbe.decrypt(algorithm, candidate, ber.octets(encrypted), budget)
                ber.children(ber.one(plain))
        except pbe.Unopenable:
            raise
        except (ValueError, TypeError, InternalError, UnsupportedAlgorithm):
            continue
        return Bag(plain, name, encrypted=True)
    return Bag(value.encoded, name, locked=True, encrypted=True)


def _attributes(node: Node) -> tuple[str | None, bool]:
    """The friendly name, and whether Java's mark for trust anchors is there."""
    name, trusted = None, False
    for attribute in ber.children(node, ber.SET):
        type_, values = ber.children(attribute)[:2]
        kind = ber.oid(type_)
        if kind == _FRIENDLY_NAME:
            name = next(_texts(values), None)
        trusted |= kind == _JAVA_TRUSTED
    return name, trusted


def _texts(values: Node) -> Iterator[str]:
    for value in ber.each(values.content):
        yield value.content.decode("utf-16-be", errors="replace")


def _encryption(passphrase: bytes) -> KeySerializationEncryption:
    if not passphrase:
        allowed = "at least one character"
        raise InvalidSetting("", "the passphrase of a PKCS#12 file is empty", allowed)
    return (
        PrivateFormat.PKCS12.encryption_builder()
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(passphrase)
    )


def _spki(public: PublicKeyTypes) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
