"""Which credential is shown to which endpoint, and what its key signs."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import InvalidSetting
from handclasp.probe.credentials import Credential, Pattern, candidates, choose, sign, signature_schemes
from handclasp.testing.chains import AT, make
from handclasp.tlswire import exchange
from handclasp.tlswire.client import TLSClient
from handclasp.tlswire.offer import SAFE_CIPHERS, TLS12, TLS13, TLS13_CIPHERS, Offer

ADDRESS = "2001:db8::7"


@dataclass(frozen=True)
class Held:
    """Anything that has a pattern."""

    pattern: Pattern


@pytest.mark.parametrize(
    ("text", "pattern", "spelled"),
    [
        ("api.acme.com", Pattern("api.acme.com"), "api.acme.com"),
        ("API.Acme.COM:8443", Pattern("api.acme.com", 8443), "api.acme.com:8443"),
        ("api.acme.com.", Pattern("api.acme.com"), "api.acme.com"),
        ("localhost:1", Pattern("localhost", 1), "localhost:1"),
        ("my_api.internal", Pattern("my_api.internal"), "my_api.internal"),
        ("*.Acme.com", Pattern("acme.com", None, wildcard=True), "*.acme.com"),
        ("*.acme.com:65535", Pattern("acme.com", 65535, wildcard=True), "*.acme.com:65535"),
        ("xn--bcher-kva.example", Pattern("xn--bcher-kva.example"), "xn--bcher-kva.example"),
        ("192.0.2.7", Pattern("192.0.2.7"), "192.0.2.7"),
        ("192.0.2.7:443", Pattern("192.0.2.7", 443), "192.0.2.7:443"),
        ("2001:DB8:0:0::7", Pattern(ADDRESS), ADDRESS),
        ("[2001:db8:0::0007]", Pattern(ADDRESS), ADDRESS),
        ("[2001:db8::7]:8443", Pattern(ADDRESS, 8443), "[2001:db8::7]:8443"),
    ],
)
def test_a_pattern_has_one_spelling(text: str, pattern: Pattern, spelled: str) -> None:
    """Whatever a person wrote; and that spelling is read as the same pattern."""
    assert (Pattern.parse(text), str(pattern), Pattern.parse(spelled)) == (pattern, spelled, pattern)


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "*.", "*.com", "*.localhost", "*acme.com", "a*.acme.com", "api.*.com", "*.*.acme.com", "**.a.com"),
        *("*.192.0.2.1", "*.[2001:db8::7]", "*.2001:db8::7", "https://api.acme.com", "api.acme.com/x", "api.acme.com:"),
        *("api.acme.com:0", "api.acme.com:65536", "api.acme.com:0443", "api.acme.com:+1", "api.acme.com:٤٤٣", ":443"),
        *("bücher.example", "api..acme.com", "-api.acme.com", "a" * 64 + ".com", "a." * 200 + "com", "user@acme.com"),
        *("[api.acme.com]:443", "[2001:db8::7", "2001:db8::7]:1", "[2001:db8::7]443", "fe80::1%eth0", "0.0.0.0", "::"),
        *("::ffff:192.0.2.7", "192.0.2.256", "192.0.2", "1234", "0x7f.1", "api.acme\n.com", "a\0b.com", "acme .com"),
    ],
)  # fmt: skip
def test_what_is_no_pattern(text: str) -> None:
    """InvalidSetting, which says what may stand there."""
    with pytest.raises(InvalidSetting) as caught:
        Pattern.parse(text)
    assert caught.value.allowed


@pytest.mark.parametrize(
    ("host", "port", "chosen"),
    [
        ("api.acme.com", 8443, "api.acme.com:8443"),
        ("API.ACME.COM", 8443, "api.acme.com:8443"),
        ("api.acme.com", 443, "api.acme.com"),
        ("www.acme.com", 8443, "*.acme.com:8443"),
        ("www.acme.com", 443, "*.acme.com"),
        ("acme.com", 443, None),
        ("a.b.acme.com", 8443, None),
        ("api.acme.com.evil.example", 443, None),
        ("evilacme.com", 443, None),
        ("192.0.2.7", 443, "192.0.2.7"),
        ("192.0.2.8", 443, None),
        ("2001:0db8::0:7", 443, ADDRESS),
        ("", 443, None),
        ("*.acme.com", 443, None),
    ],
)
def test_the_most_exact_pattern_decides(host: str, port: int, chosen: str | None) -> None:
    """Host with port, host, wildcard with port, wildcard; and nothing near it."""
    texts = ("*.acme.com", "api.acme.com", "*.acme.com:8443", "api.acme.com:8443", "192.0.2.7", ADDRESS)
    found = choose([Held(Pattern.parse(text)) for text in texts], host, port)
    assert (None if found is None else str(found.pattern)) == chosen


# Few labels and ports, so that patterns and endpoints often meet.
LABELS = st.sampled_from(["a", "b", "acme", "com", "xn--4ca"])
HOSTS = st.one_of(
    st.lists(LABELS, min_size=1, max_size=4).map(".".join),
    st.sampled_from(["192.0.2.1", "192.0.2.2"]),
    st.sampled_from(["2001:db8::1", "2001:db8::2"]),
)
PORTS = st.sampled_from([443, 8443])
TEXTS = st.builds(
    lambda host, wild, port: (
        ("*." if wild and "." in host and host[-1].isalpha() else "")
        + (f"[{host}]" if ":" in host else host)
        + ("" if port is None else f":{port}")
    ),
    HOSTS,
    st.booleans(),
    st.none() | PORTS,
)


def rank(text: str, host: str, port: int) -> int | None:
    """How exactly a pattern matches, by its text alone; 0 is best, None not at all."""
    if text.endswith(f":{port}") and (text.count(":") == 1 or text.startswith("[")):
        place, with_port = text.removesuffix(f":{port}"), 0
    elif text.startswith("[") or text.count(":") != 1:
        place, with_port = text, 1
    else:
        return None  # another port
    place = place.strip("[]") if text.startswith("[") and place.endswith("]") else place
    if text.startswith("[") and place.startswith("["):
        return None  # another port, of an IPv6 address
    if place == host:
        return with_port
    first, dot, rest = host.partition(".")
    return 2 + with_port if dot and first and place == f"*.{rest}" and host[-1].isalpha() else None


@given(st.lists(TEXTS, unique=True, max_size=12), HOSTS, PORTS)
def test_any_patterns(texts: list[str], host: str, port: int) -> None:
    """The one that is chosen matches best of all, in whatever order they are; if none is, none matches."""
    held = [Held(Pattern.parse(text)) for text in texts]
    found = choose(held, host, port)
    ranks = {text: number for text in texts if (number := rank(text, host, port)) is not None}
    best = min(ranks.values(), default=None)
    assert [number for text, number in ranks.items() if found and Pattern.parse(text) == found.pattern][:1] == (
        [] if best is None else [best]
    )
    assert choose(held[::-1], host.upper(), port) == found
    assert {str(one.pattern) for one in held if one.pattern.matches(host, port)} == {
        str(Pattern.parse(text)) for text in ranks
    }


@given(TEXTS)
def test_spelling_and_reading(text: str) -> None:
    """What is written is read as it was."""
    pattern = Pattern.parse(text)
    assert Pattern.parse(str(pattern)) == pattern


@given(st.text(max_size=80), st.integers(-1, 70000))
def test_no_text_is_too_strange(text: str, port: int) -> None:
    """A pattern or InvalidSetting; an endpoint that matches at most four patterns, itself first."""
    try:
        pattern = Pattern.parse(text)
    except InvalidSetting:
        pass
    else:
        assert Pattern.parse(str(pattern)) == pattern
    assert len(candidates(text, port)) in (0, 2, 4)


@given(st.integers(0, 2**128 - 1).map(IPv6Address), PORTS)
def test_an_address_is_one_however_it_is_spelled(address: IPv6Address, port: int) -> None:
    """And matches no other."""
    if address.is_unspecified or address.is_multicast or address.ipv4_mapped is not None:
        return
    pattern = Pattern.parse(f"[{address.exploded.upper()}]:{port}")
    assert pattern.matches(address.compressed, port)
    assert pattern.matches(address.exploded, port)
    other = IPv6Address(int(address) ^ 1)
    assert not pattern.matches(str(other), port)


RSA = rsa.generate_private_key(65537, 2048)
PSS: dict[int, hashes.HashAlgorithm] = {
    **{0x0804: hashes.SHA256(), 0x0805: hashes.SHA384(), 0x0806: hashes.SHA512()},
    **{0x0809: hashes.SHA256(), 0x080A: hashes.SHA384(), 0x080B: hashes.SHA512()},
}
PKCS1: dict[int, hashes.HashAlgorithm] = {0x0401: hashes.SHA256(), 0x0501: hashes.SHA384(), 0x0601: hashes.SHA512()}
ECDSA: dict[int, hashes.HashAlgorithm] = {0x0403: hashes.SHA256(), 0x0503: hashes.SHA384(), 0x0603: hashes.SHA512()}
KEYS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "RSA": (lambda: RSA, (0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601)),
    "RSA 1024": (lambda: rsa.generate_private_key(65537, 1024), (0x0804, 0x0805, 0x0401, 0x0501, 0x0601)),
    "P-256": (lambda: ec.generate_private_key(ec.SECP256R1()), (0x0403,)),
    "P-384": (lambda: ec.generate_private_key(ec.SECP384R1()), (0x0503,)),
    "P-521": (lambda: ec.generate_private_key(ec.SECP521R1()), (0x0603,)),
    "secp256k1": (lambda: ec.generate_private_key(ec.SECP256K1()), ()),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, (0x0807,)),
    "Ed448": (ed448.Ed448PrivateKey.generate, (0x0808,)),
    "X25519": (x25519.X25519PrivateKey.generate, ()),
    "ML-DSA-44": (mldsa.MLDSA44PrivateKey.generate, (0x0904,)),
    "ML-DSA-65": (mldsa.MLDSA65PrivateKey.generate, (0x0905,)),
    "ML-DSA-87": (mldsa.MLDSA87PrivateKey.generate, (0x0906,)),
}
ANY_LEAF = make("client").certificate


def verify(public: Any, signature: bytes, data: bytes, scheme: int) -> None:
    """As a server does it, RFC 8446 §4.2.3."""
    if hash_ := PSS.get(scheme):
        public.verify(signature, data, padding.PSS(padding.MGF1(hash_), hash_.digest_size), hash_)
    elif hash_ := PKCS1.get(scheme):
        public.verify(signature, data, padding.PKCS1v15(), hash_)
    elif hash_ := ECDSA.get(scheme):
        public.verify(signature, data, ec.ECDSA(hash_))
    else:
        public.verify(signature, data)


@pytest.mark.parametrize("kind", KEYS)
def test_each_key_signs_by_its_schemes(kind: str) -> None:
    """By each that it names, best first, so that a server can verify; and by no other."""
    make_key, schemes = KEYS[kind]
    key = make_key()
    assert signature_schemes(key, ANY_LEAF) == schemes
    for scheme in schemes:
        signature = sign(key, b"a handshake", scheme)
        verify(key.public_key(), signature, b"a handshake", scheme)
        with pytest.raises(InvalidSignature):
            verify(key.public_key(), signature, b"another", scheme)
    others = {scheme for _, some in KEYS.values() for scheme in some} - set(schemes) - {0x0806}
    for scheme in others | {0, 0x0203}:
        with pytest.raises(ValueError, match="scheme"):
            sign(key, b"a handshake", scheme)


def test_a_credential_is_what_a_handshake_needs() -> None:
    """Its chain, its schemes, and a way to sign; and no word about the key."""
    root = make("root", authority=True)
    leaf = make("client", root)
    held = Credential("acme", Pattern.parse("*.acme.com"), (leaf.der, root.der), AT, leaf.key)
    client = held.client()
    assert (client.chain, client.schemes) == ((leaf.der, root.der), (0x0403,))
    verify(leaf.key.public_key(), client.sign(b"data", 0x0403), b"data", 0x0403)
    secret = leaf.key.private_numbers().private_value
    private = leaf.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    said = repr(held) + str(held) + repr(client)
    assert "key=" not in said
    assert not any(text in said for text in (str(secret), f"{secret:x}", private.hex(), repr(private)))


def shake_hands(held: Credential, server: ssl.SSLContext, *, version: int) -> bytes:
    """Our client against OpenSSL in memory, until the server has seen the client's certificate; that, in DER."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = server.wrap_bio(incoming, outgoing, server_side=True)
    offer = Offer("server.example.org", (version,), TLS13_CIPHERS + SAFE_CIPHERS)
    client = TLSClient(offer, random=b"r" * 32, session_id=b"s" * 32, shares=exchange.make(offer.shares))
    incoming.write(client.start())
    for _ in range(4):
        with suppress(ssl.SSLWantReadError):
            peer.do_handshake()
        incoming.write(client.receive(outgoing.read()))
        if client.ready:
            incoming.write(client.answer(held.client()))
    found = peer.getpeercert(binary_form=True)
    assert found is not None
    return found


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "P-521", "Ed25519", "Ed448"])
def test_a_server_takes_it(kind: str, version: int, tmp_path: Path) -> None:
    """OpenSSL, which demands a certificate of this authority, sees ours and believes the signature."""
    root = make("root", authority=True)
    server, leaf = make("server.example.org", root), make("client", root, key=KEYS[kind][0]())
    (tmp_path / "server.pem").write_bytes(
        server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + server.certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.load_verify_locations(cadata=root.certificate.public_bytes(Encoding.PEM).decode())
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= 0x200000  # X509_V_FLAG_NO_CHECK_TIME: what is made for tests has dates of its own
    held = Credential("acme", Pattern.parse("*.example.org"), (leaf.der,), AT, leaf.key)
    assert shake_hands(held, context, version=version) == leaf.der


def test_a_key_that_cannot_sign_is_no_credential() -> None:
    """ValueError with the credential's name."""
    leaf = make("client")
    key: Any = ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(ValueError, match="acme"):
        Credential("acme", Pattern.parse("acme.com"), (leaf.der,), AT, key).client()
