"""Files of certificates and keys in every form, read and compared with what was put in."""

from __future__ import annotations

import base64
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.hazmat.primitives.serialization import pkcs12 as library
from tests.files.conftest import PASSPHRASE, READ_BY_OPENSSL, House, Openssl, crl_of, house_of, request_of, spki, write

from handclasp.findings import Code, Refused
from handclasp.pki import ber, containers, der, pkcs7, pkcs8, pkcs12
from handclasp.pki.containers import Contents, read
from handclasp.pki.keys import KeyType
from handclasp.pki.pbe import Budget, Unopenable

KINDS = pytest.mark.parametrize("kind", [*READ_BY_OPENSSL, KeyType.ML_DSA_44, KeyType.ML_DSA_65, KeyType.ML_DSA_87])


def held(found: Contents) -> tuple[list[x509.Certificate], list[bytes]]:
    """The certificates, and the public halves of the keys."""
    return [one.certificate for one in found.certificates], [spki(one.key) for one in found.keys]


def names(found: Contents) -> tuple[list[str | None], list[str | None]]:
    """The friendly names of certificates and keys."""
    return [one.name for one in found.certificates], [one.name for one in found.keys]


def der_of(house: House, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return house.key.private_bytes(Encoding.DER, form, NoEncryption())


def refusal(data: bytes, passphrase: bytes | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        read(data, passphrase)
    return caught.value


@KINDS
def test_a_key_of_every_kind_in_every_form(kind: KeyType) -> None:
    """PKCS#8 as PEM and DER, in clear and encrypted by the library and by ours."""
    house = house_of(kind)
    encrypted = BestAvailableEncryption(PASSPHRASE)
    ours = pkcs8.Encryption(PASSPHRASE, b"s" * 16, b"i" * 16)
    forms = [
        der_of(house),
        house.key_pem,
        house.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encrypted),
        house.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, encrypted),
        pkcs8.encrypted_pem(der_of(house), ours),
        pkcs8.encrypted_der(der_of(house), ours),
    ]
    found = [read(data, PASSPHRASE) for data in forms]
    assert [[spki(one.key) for one in each.keys] for each in found] == [[spki(house.key)]] * 6
    assert [each.keys[0].encrypted for each in found] == [False, False, True, True, True, True]
    assert {each.faults for each in found} == {()}


@pytest.mark.parametrize("kind", [KeyType.EC_P256, KeyType.RSA_2048], ids=str)
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER], ids=str)
def test_the_old_forms_of_keys(kind: KeyType, encoding: Encoding) -> None:
    """PKCS#1 and SEC 1, as openssl wrote them for decades."""
    data = house_of(kind).key.private_bytes(encoding, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    found = read(data)
    assert held(found) == ([], [spki(house_of(kind).key)])
    assert found.keys[0].form == ("SEC 1" if kind is KeyType.EC_P256 else "PKCS#1")


@pytest.mark.parametrize("kind", [KeyType.EC_P256, KeyType.RSA_2048], ids=str)
def test_the_old_encrypted_pem(kind: KeyType) -> None:
    """The encryption with DEK-Info: told of without a passphrase, opened with it, refused with another."""
    key = house_of(kind).key
    data = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(PASSPHRASE))
    data = data.replace(b"\n", b"\r\n")
    assert [(one.key, one.encrypted) for one in read(data).keys] == [(None, True)]
    assert held(read(data, PASSPHRASE)) == ([], [spki(key)])
    assert refusal(data, b"wrong").code is Code.FILE_PASSPHRASE_WRONG


def test_an_openssh_key(house: House) -> None:
    """Read in clear; encrypted ones are told how to be rewritten."""
    clear = house.key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    assert held(read(clear)) == ([], [spki(house.key)])
    inside = b"openssh-key-v1\x00" + b"\x00\x00\x00\x0aaes256-ctr" + b"\x00\x00\x00\x06bcrypt" + b"x" * 40
    block = b"-----BEGIN OPENSSH PRIVATE KEY-----\n%b-----END OPENSSH PRIVATE KEY-----\n" % base64.encodebytes(inside)
    refused = refusal(block, PASSPHRASE)
    assert (refused.code, "ssh-keygen -p -m PKCS8" in refused.why) == (Code.FILE_UNRECOGNIZED, True)


def test_encrypted_keys_are_told_of_without_a_passphrase(house: House) -> None:
    """And refused with a wrong one."""
    data = house.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE))
    assert [(one.key, one.encrypted, one.form) for one in read(data).keys] == [(None, True, "PKCS#8")]
    assert refusal(data, b"wrong").code is Code.FILE_PASSPHRASE_WRONG


def test_der_of_each_kind(house: House) -> None:
    """A certificate, a request, a CRL and a public key, each alone."""
    request, crl = request_of(house), crl_of(house, 3)
    public = house.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert held(read(house.leaf.public_bytes(Encoding.DER))) == ([house.leaf], [])
    assert read(request.public_bytes(Encoding.DER)).requests == (request,)
    assert read(crl.public_bytes(Encoding.DER)).crls == (crl,)
    assert [one.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for one in read(public).public_keys] == [
        public
    ]


def everything(house: House) -> bytes:
    """All kinds of blocks in one file, with text between them."""
    return b"".join(
        (
            b"Bag Attributes\n    friendlyName: orders\nsubject=CN = orders\n",
            house.leaf.public_bytes(Encoding.PEM),
            b"\x00\xff rubbish\n",
            house.key_pem,
            b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n",
            request_of(house).public_bytes(Encoding.PEM),
            house.root.public_bytes(Encoding.PEM),
            crl_of(house, 1).public_bytes(Encoding.PEM),
            house.issuing.public_bytes(Encoding.PEM),
        )
    )


DRESSES: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda text: text,
    "with CRLF": lambda text: text.replace(b"\n", b"\r\n"),
    "with CR": lambda text: text.replace(b"\n", b"\r"),
    "after a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "in UTF-16": lambda text: text.decode("latin-1").encode("utf-16"),
    "indented": lambda text: textwrap.indent(text.decode("latin-1"), "    ").encode("latin-1"),
    "in one line each": lambda text: text.replace(b"\n", b" "),
}


@pytest.mark.parametrize("dress", DRESSES)
def test_pem_in_every_dress(house: House, dress: str) -> None:
    """Many blocks in any order, garbage around, and the ways in which text is mangled on its way."""
    found = read(DRESSES[dress](everything(house)))
    assert held(found) == ([house.leaf, house.root, house.issuing], [spki(house.key)])
    assert (len(found.requests), len(found.crls), found.form, found.faults) == (1, 1, "PEM", ())


def test_a_wrong_label_is_read_as_what_it_is(house: House) -> None:
    """A key under CERTIFICATE, a certificate under X509 CRL: both are read, and told of."""
    swapped = house.key_pem.replace(b"PRIVATE KEY", b"CERTIFICATE") + house.leaf.public_bytes(Encoding.PEM).replace(
        b"CERTIFICATE", b"X509 CRL"
    )
    found = read(swapped)
    assert held(found) == ([house.leaf], [spki(house.key)])
    assert found.faults == (
        "a block is labelled CERTIFICATE but holds a private key; it is read as what it is",
        "a block is labelled X509 CRL but holds a certificate; it is read as what it is",
    )


def test_what_is_broken_is_told_and_the_rest_read(house: House) -> None:
    """A block without an end, one that is no base64, one that is cut off inside."""
    whole = house.leaf.public_bytes(Encoding.PEM)
    cut = b"\n".join((*whole.split(b"\n")[:3], b"-----END CERTIFICATE-----", b""))
    found = read(b"-----BEGIN CERTIFICATE-----\nAAAA\n" + whole + whole.replace(b"\nMI", b"\n*!") + cut + whole[:200])
    assert held(found) == ([house.leaf], [])
    assert found.faults == (
        "a block CERTIFICATE has no end",
        "a block CERTIFICATE is not base64",
        "a block CERTIFICATE cannot be read: an element ends before its length says",
        "a block CERTIFICATE has no end: the file is cut off",
    )


def test_bare_base64_and_joined_der(house: House) -> None:
    """As Windows and web consoles give them: base64 without its lines around, DER after DER."""
    leaf, issuing = (one.public_bytes(Encoding.DER) for one in house.chain[:2])
    bare = read(base64.encodebytes(leaf))
    assert (held(bare), bare.form) == (([house.leaf], []), "DER in base64")
    assert held(read(leaf + issuing)) == ([house.leaf, house.issuing], [])
    tail = read(leaf + b"\n\n")
    assert (held(tail)[0], tail.faults) == ([house.leaf], ("there are bytes after the end that belong to nothing",))


@pytest.mark.parametrize("kind", [KeyType.EC_P256, KeyType.RSA_2048], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        ["-legacy"],  # RC2 with 40 bits for certificates, 3DES for the key, SHA-1 for the MAC
        ["-legacy", "-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
        ["-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-RC2-128"],
        ["-legacy", "-certpbe", "PBE-SHA1-RC4-128", "-keypbe", "PBE-SHA1-RC4-40"],
        ["-legacy", "-certpbe", "PBE-SHA1-2DES", "-keypbe", "PBE-SHA1-RC2-40"],
        ["-legacy", "-certpbe", "PBE-SHA1-RC2-40", "-nomac"],
        [],
        ["-certpbe", "AES-128-CBC", "-keypbe", "AES-192-CBC", "-macalg", "sha512", "-iter", "10000"],
        ["-certpbe", "NONE", "-keypbe", "NONE"],
        ["-nomac"],
    ],
    ids=lambda options: " ".join(options) or "as openssl does",
)
def test_pkcs12_of_openssl(kind: KeyType, options: list[str], openssl: Openssl, tmp_path: Path) -> None:
    """With every encryption that openssl still writes, the old ones too; and refused with a wrong passphrase."""
    house = house_of(kind)
    write(house, tmp_path)
    (tmp_path / "chain.pem").write_bytes((tmp_path / "issuing.pem").read_bytes() + (tmp_path / "root.pem").read_bytes())
    files = ["-in", "leaf.pem", "-inkey", "key.pem", "-certfile", "chain.pem", "-name", "Bestellungen \u00e4"]
    data = openssl("pkcs12", "-export", *options, *files, "-passout", "file:pass")
    found = read(data, PASSPHRASE)
    assert held(found) == (list(house.chain), [spki(house.key)])
    assert names(found) == (["Bestellungen \u00e4", None, None], ["Bestellungen \u00e4"])
    assert (found.form, found.faults) == ("PKCS#12", ())
    if "NONE" in options:
        return
    assert refusal(data, b"wrong").code is Code.FILE_PASSPHRASE_WRONG
    if "-nomac" in options:  # openssl does not encrypt certificates then
        assert [one.key for one in read(data).keys] == [None]
    else:
        assert refusal(data).code is Code.FILE_PASSPHRASE_MISSING


@pytest.mark.parametrize("passphrase", [b"", "p\u00e4ss \u65e5\u672c".encode()], ids=["empty", "not ASCII"])
@pytest.mark.parametrize("options", [["-legacy"], []], ids=["old", "new"])
def test_passphrases_of_all_kinds(options: list[str], passphrase: bytes, openssl: Openssl, written: Path) -> None:
    """An empty one opens without being given; one of other letters opens."""
    (written / "pass").write_bytes(passphrase + b"\n")
    data = openssl("pkcs12", "-export", *options, "-in", "leaf.pem", "-inkey", "key.pem", "-passout", "file:pass")
    assert len(read(data, passphrase).keys) == len(read(data, passphrase or None).keys) == 1


def test_pkcs12_of_the_library_with_sha256_mac(house: House) -> None:
    """What `client add --p12` writes, by encode() of ours."""
    found = read(pkcs12.encode("orders", house.key, house.chain, PASSPHRASE), PASSPHRASE)
    assert (held(found), names(found)) == (
        (list(house.chain), [spki(house.key)]),
        (["orders", None, None], ["orders"]),
    )


def opened(data: bytes) -> bytes:
    """The same in BER: every SEQUENCE with an open length, every OCTET STRING of a PKCS#12 in pieces."""
    node = ber.one(data)
    if node.tag == ber.OCTET_STRING and len(node.content) > 200:
        pieces = [node.content[at : at + 100] for at in range(0, len(node.content), 100)]
        return b"\x24\x80" + b"".join(der.encode(ber.OCTET_STRING, piece) for piece in pieces) + b"\x00\x00"
    if not node.tag & ber.CONSTRUCTED:
        return data
    return bytes([node.tag]) + b"\x80" + b"".join(opened(one.encoded) for one in ber.each(node.content)) + b"\x00\x00"


def test_pkcs12_in_ber(house: House) -> None:
    """Open lengths and strings in pieces, as older programs of Mozilla and Microsoft write."""
    data = pkcs12.encode("orders", house.key, house.chain, PASSPHRASE)
    assert held(read(opened(data), PASSPHRASE)) == (list(house.chain), [spki(house.key)])


def test_pkcs7(house: House, openssl: Openssl, written: Path) -> None:
    """Certificates and CRLs of openssl's files, in PEM and DER, and of ours."""
    (written / "all.pem").write_bytes(b"".join((written / f"{n}.pem").read_bytes() for n in ("leaf", "issuing", "crl")))
    words = ["crl2pkcs7", "-in", "crl.pem", "-certfile", "all.pem"]
    crl = crl_of(house, 12)
    for data in (openssl(*words), openssl(*words, "-outform", "DER")):
        found = read(data)
        assert (held(found)[0], len(found.crls), found.faults) == ([house.leaf, house.issuing], 1, ())
    ours = pkcs7.encode([one.public_bytes(Encoding.DER) for one in house.chain], [crl.public_bytes(Encoding.DER)])
    found = read(ours)
    assert (held(found)[0], found.crls, found.form) == (list(house.chain), (crl,), "PKCS#7")
    assert held(read(opened(ours)))[0] == list(house.chain)


def test_a_signed_message_gives_its_certificates(openssl: Openssl, written: Path, house: House) -> None:
    """PKCS#7 with a signature and streamed contents: the certificates in it are read; an encrypted one is told."""
    signed = openssl(
        "cms", "-sign", "-signer", "leaf.pem", "-inkey", "key.pem", "-certfile", "issuing.pem", "-outform", "DER",
        "-stream", "-nodetach", "-binary", data=b"hello " * 1000,
    )  # fmt: skip
    assert set(held(read(signed))[0]) == {house.leaf, house.issuing}
    encrypted = openssl("cms", "-encrypt", "-aes128", "-outform", "DER", "leaf.pem", data=b"hello")
    assert "an encrypted message" in refusal(encrypted).why


def test_a_trust_store_of_java(house: House) -> None:
    """A trust store of Java: each certificate under its alias, marked as trusted."""
    data = pkcs12.encode_trust_store([("Root", house.root), ("other", house.issuing)], PASSPHRASE)
    found = read(data, PASSPHRASE)
    assert [(one.certificate, one.name, one.trusted) for one in found.certificates] == [
        (house.root, "Root", True),
        (house.issuing, "other", True),
    ]


def test_a_damaged_store_of_java_in_the_old_form_is_named() -> None:
    """What begins like JKS and goes no further is refused as what it would be."""
    refused = refusal(b"\xfe\xed\xfe\xed\x00\x00\x00\x02")
    assert (refused.code, refused.why) == (
        Code.FILE_UNRECOGNIZED,
        "it is a Java key store (JKS), but cannot be read: the key store is cut off",
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"hello", "it is neither PEM nor DER"),
        (b"\x30\x82\xff\xff\x00", "it starts like DER, but is cut off or damaged"),
        (b"\x30\x00", "it holds nothing that is known here"),
        (b"-----BEGIN CERTIFICATE-----", "there is no certificate, key, request or CRL in it"),
        (b"x" * (containers.MAX_SIZE + 1), "it is larger than 16 MB"),
    ],
    ids=["empty", "blank", "text", "cut off", "empty sequence", "half a line", "large"],
)
def test_what_is_nothing(data: bytes, why: str) -> None:
    """Each is refused with its own reason."""
    refused = refusal(data)
    assert refused.code is Code.FILE_UNRECOGNIZED
    assert refused.why == why or why.startswith("there is no certificate")


def rounds_of(data: bytes, old: int, new: int) -> bytes:
    """The file with its numbers of rounds replaced, wherever they stand."""
    before, after = (der.encode(2, n.to_bytes((n.bit_length() + 8) // 8, "big")) for n in (old, new))
    after = after.ljust(len(before), b"\x00")
    assert before in data and len(before) == len(after)
    return data.replace(before, after)


@pytest.mark.parametrize(
    "options",
    [["-legacy"], [], ["-nomac"], ["-legacy", "-nomac"]],
    ids=["old", "new", "new without MAC", "old without MAC"],
)
def test_endless_rounds_are_refused_at_once(options: list[str], openssl: Openssl, written: Path) -> None:
    """A PKCS#12 that asks for 2^31 rounds is told so, and not tried."""
    data = openssl(
        "pkcs12", "-export", *options, "-in", "leaf.pem", "-inkey", "key.pem", "-passout", "file:pass", "-iter", "70000"
    )  # fmt: skip
    begun = time.monotonic()
    refused = refusal(rounds_of(data, 70000, 0x7FFFFF), PASSPHRASE)
    assert (refused.code, "rounds" in refused.why) == (Code.FILE_UNRECOGNIZED, True)
    assert time.monotonic() - begun < 1


def test_rounds_of_a_file_are_summed(house: House) -> None:
    """What a file may ask for is a sum: two parts of 20,000 rounds do not go into a budget of 30,000."""
    rounds = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(20_000)
    encryption = rounds.key_cert_algorithm(library.PBES.PBESv2SHA256AndAES256CBC).hmac_hash(hashes.SHA256())
    data = library.serialize_key_and_certificates(b"x", house.key, house.leaf, None, encryption.build(PASSPHRASE))  # type: ignore[arg-type]
    assert len(pkcs12.decode(data, PASSPHRASE, Budget(50_000)).keys) == 1
    with pytest.raises(Unopenable, match="rounds"):
        pkcs12.decode(data, PASSPHRASE, Budget(30_000))


@pytest.mark.parametrize(("n", "r", "p"), [(1 << 30, 8, 1), (1 << 14, 8, 1 << 20), (0, 8, 1), (1 << 62, 1 << 62, 1)])
def test_endless_scrypt_is_refused_at_once(house: House, n: int, r: int, p: int) -> None:
    """Memory and work of scrypt are looked at before any of it is done."""

    def integer(value: int) -> bytes:
        return der.encode(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))

    def identifier(oid: str, parameters: bytes) -> bytes:
        return der.encode(0x30, bytes.fromhex(oid) + parameters)

    settings = der.encode(0x30, der.encode(4, b"s" * 16) + integer(n) + integer(r) + integer(p))
    cipher = identifier("060960864801650304012a", der.encode(4, b"i" * 16))
    scheme = der.encode(0x30, identifier("06092b06010401da47040b", settings) + cipher)
    data = der.encode(0x30, identifier("06092a864886f70d01050d", scheme) + der.encode(4, b"x" * 64))
    begun = time.monotonic()
    assert refusal(data, PASSPHRASE).code is Code.FILE_UNRECOGNIZED
    assert time.monotonic() - begun < 1


def test_a_large_rsa_key_is_read_without_waiting() -> None:
    """No test for primes, which takes minutes; numbers that do not belong together are still found."""
    p, q = 2**4253 - 1, 2**4423 - 1
    n, e = p * q, 65537
    d = pow(e, -1, (p - 1) * (q - 1))

    def key(d: int, q: int) -> bytes:
        values = (0, n, e, d, p, q, d % (p - 1), d % (q - 1), pow(2**4423 - 1, -1, p))
        return der.encode(0x30, b"".join(der.encode(2, v.to_bytes(v.bit_length() // 8 + 1, "big")) for v in values))

    begun = time.monotonic()
    (found,) = read(key(d, q)).keys
    assert isinstance(found.key, rsa.RSAPrivateKey) and found.key.key_size == n.bit_length()
    assert "do not belong together" in refusal(key(d + 2, q)).why
    assert time.monotonic() - begun < 3


def test_time_and_memory_go_with_the_size() -> None:
    """A file of nothing but BEGIN lines, and one of the smallest elements, are read in a moment."""
    begun = time.process_time()
    refusal(b"-----BEGIN CERTIFICATE-----\n" * 100_000)
    refusal(b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" * 30_000)
    refusal(der.encode(0x30, b"\x05\x00" * 1_000_000))
    refusal(b"\x30\x00" * 100_000)
    refusal(b"\x30\x80" * 100_000)
    assert time.process_time() - begun < 10


def test_curves_that_are_not_in_use(openssl: Openssl) -> None:
    """A key on another curve of the library is a key, whatever the authority would say of it."""
    data = openssl("ecparam", "-name", "secp521r1", "-genkey")
    (found,) = read(data).keys
    assert isinstance(found.key, ec.EllipticCurvePrivateKey) and found.key.curve.name == "secp521r1"
