"""The handshake played again in memory: each fault with the code, alert and text that OpenSSL has for it."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from handclasp.doctor.diagnosis import Side
from handclasp.doctor.replay import Party, Replayed, Says, replay, verify_text
from handclasp.testing.chains import AT, CLIENT, SERVER, Holder, make, make_crl

DAY = timedelta(days=1)
NAME = "api.example"
SAN = (x509.DNSName(NAME), x509.IPAddress(IPv4Address("192.0.2.1")))
ROOT = make("Root", authority=True)
MIDDLE = make("Middle", ROOT, authority=True)
MIDDLE_RSA = make("Middle RSA", ROOT, authority=True, key=rsa.generate_private_key(65537, 2048))
OTHER = make("Other", authority=True)
LEAF = make(NAME, MIDDLE, names=SAN)
CALLER = make("caller", MIDDLE)
WEAK = rsa.generate_private_key(65537, 1024)
VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])


def party(*sent: Holder, trust: Holder | None = ROOT, key: Any = None, crls: Any = ()) -> Party:
    """Who sends these, with the key of the first."""
    own = key if key is not None else (sent[0].key if sent else None)
    return Party(
        tuple(one.certificate for one in sent), own, () if trust is None else (trust.certificate,), tuple(crls)
    )


SERVES = party(LEAF, MIDDLE)
CALLS = party(CALLER, MIDDLE)

Told = tuple[list[tuple[int, int]], int | None, str]


def told(says: Says) -> Told:
    """Its verify codes with their depths, its alert, and its text."""
    return [(one.code, one.depth) for one in says.errors], says.alert, says.text


FAILED = "certificate verify failed"


def expired_middle() -> Party:
    middle = make("Middle", ROOT, authority=True, ends=AT - DAY)
    return party(make("caller", middle), middle)


def constrained() -> Party:
    middle = make("Short", ROOT, authority=True, path_length=0)
    below = make("Below", middle, authority=True)
    return party(make("caller", below), below, middle)


def twin() -> Party:
    """Another authority of the trusted one's name, with no key identifiers to tell them apart."""
    unsaid = (x509.AuthorityKeyIdentifier, x509.SubjectKeyIdentifier)
    return party(make("caller", make("Root", authority=True), without=unsaid))


def sha1() -> Holder:
    """A certificate signed with SHA-1, which the library no longer makes: the one with SHA-256, signed again."""
    modern = make("c", MIDDLE_RSA, hash_=hashes.SHA256())
    new, old = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("0b", "05"))  # RFC 4055 section 5
    signed = modern.certificate.tbs_certificate_bytes.replace(new, old)
    signature = MIDDLE_RSA.key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    der = modern.der.replace(new, old).replace(modern.certificate.signature, signature)
    return Holder(x509.load_der_x509_certificate(der), modern.key)


CLIENT_FAULTS: dict[str, tuple[Callable[[], Party], Told]] = {
    "expired": (lambda: party(make("c", MIDDLE, ends=AT - DAY), MIDDLE), ([(10, 0)], 45, FAILED)),
    "not yet valid": (lambda: party(make("c", MIDDLE, begins=AT + DAY), MIDDLE), ([(9, 0)], 42, FAILED)),
    "expired intermediate": (expired_middle, ([(10, 1)], 45, FAILED)),
    "unknown authority": (lambda: party(make("c", OTHER)), ([(20, 0), (21, 0)], 48, FAILED)),
    "unknown authority, sent": (lambda: party(make("c", OTHER), OTHER), ([(19, 1)], 48, FAILED)),
    "self-signed": (lambda: party(make("c")), ([(18, 0)], 48, FAILED)),
    "intermediate not sent": (lambda: party(CALLER), ([(20, 0), (21, 0)], 48, FAILED)),
    "for servers only": (lambda: party(make("c", MIDDLE, usages=[SERVER]), MIDDLE), ([(26, 0)], 43, FAILED)),
    "two faults": (
        lambda: party(make("c", MIDDLE, usages=[SERVER], ends=AT - DAY), MIDDLE),
        ([(26, 0), (10, 0)], 43, FAILED),
    ),
    "issued by no authority": (
        lambda: party(make("c", CALLER), CALLER, MIDDLE),
        ([(79, 1), (26, 1), (32, 1)], 48, FAILED),
    ),
    "path too long": (constrained, ([(25, 2)], 48, FAILED)),
    "two authorities of one name": (twin, ([(7, 0)], 51, FAILED)),
    "weak key": (lambda: party(make("c", MIDDLE, key=WEAK, hash_=hashes.SHA256()), MIDDLE), ([(66, 0)], 42, FAILED)),
    "weak authority": (
        lambda: party(make("c", (weak := make("Weak", ROOT, authority=True, key=WEAK)), hash_=hashes.SHA256()), weak),
        ([(67, 1)], 42, FAILED),
    ),
    "SHA-1": (lambda: party(sha1(), MIDDLE_RSA), ([(68, 0)], 42, FAILED)),
}


@VERSIONS
@pytest.mark.parametrize("fault", CLIENT_FAULTS)
def test_what_the_server_says_of_the_client(fault: str, version: str) -> None:
    """Each fault of the client's chain has its verify codes and alert, and is the server's to end."""
    make_party, expected = CLIENT_FAULTS[fault]
    played = replay(make_party(), SERVES, AT, name=NAME, version=version)
    assert told(played.server) == expected
    assert (played.completed, played.refused_by, played.client.accepted) == (False, Side.SERVER, True)


def listed(*revoked: x509.Certificate, ends: datetime = AT + DAY, middle: bool = True) -> Party:
    """A server that heeds lists of both authorities."""
    crls = [make_crl(ROOT), *([make_crl(MIDDLE, revoked, ends=ends, begins=AT - 2 * DAY)] if middle else [])]
    return party(LEAF, MIDDLE, crls=crls)


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        pytest.param(lambda: listed(CALLER.certificate), ([(23, 0)], 44, FAILED), id="revoked"),
        pytest.param(lambda: listed(ends=AT - DAY), ([(12, 0)], 45, FAILED), id="list expired"),
        pytest.param(lambda: listed(middle=False), ([(3, 0)], 48, FAILED), id="list missing"),
        pytest.param(listed, ([], None, ""), id="not revoked"),
    ],
)
def test_revocation_lists(server: Callable[[], Party], expected: Told) -> None:
    """With any list there must be one in date for every certificate, and it is heeded."""
    assert told(replay(CALLS, server(), AT).server) == expected


SERVER_FAULTS: dict[str, tuple[Callable[[], Party], Told]] = {
    "expired": (lambda: party(make("s", MIDDLE, names=SAN, ends=AT - DAY), MIDDLE), ([(10, 0)], 45, FAILED)),
    "unknown authority": (lambda: party(make("s", OTHER, names=SAN)), ([(20, 0), (21, 0)], 48, FAILED)),
    "for clients only": (
        lambda: party(make("s", MIDDLE, names=SAN, usages=[CLIENT]), MIDDLE),
        ([(26, 0)], 43, FAILED),
    ),
    "another name": (
        lambda: party(make("s", MIDDLE, names=[x509.DNSName("b.example")]), MIDDLE),
        ([(62, 0)], 42, FAILED),
    ),
    "common name alone": (lambda: party(make(NAME, MIDDLE), MIDDLE), ([(62, 0)], 42, FAILED)),
    "weak key": (
        lambda: party(make("s", MIDDLE, names=SAN, key=WEAK, hash_=hashes.SHA256()), MIDDLE),
        ([(66, 0)], 42, FAILED),
    ),
}


@VERSIONS
@pytest.mark.parametrize("fault", SERVER_FAULTS)
def test_what_the_client_says_of_the_server(fault: str, version: str) -> None:
    """Each fault of the server's chain is the client's to end, and the server is still heard about the client."""
    make_party, expected = SERVER_FAULTS[fault]
    played = replay(CALLS, make_party(), AT, name=NAME, version=version)
    assert told(played.client) == expected
    assert (played.completed, played.refused_by, played.server.accepted) == (False, Side.CLIENT, True)


@VERSIONS
@pytest.mark.parametrize("name", [None, NAME, "API.example.", "192.0.2.1"])
def test_two_sound_sides_complete(name: str | None, version: str) -> None:
    """Nobody says anything, and there is a cipher."""
    played = replay(CALLS, SERVES, AT, name=name, version=version)
    assert played == Replayed(version, True, Says(True), Says(True), played.cipher)
    assert played.cipher is not None


@pytest.mark.parametrize(("name", "code"), [("192.0.2.9", 64), ("b.example", 62)])
def test_the_name_is_checked_as_its_kind(name: str, code: int) -> None:
    """An address is compared with addresses, a name with names."""
    assert replay(CALLS, SERVES, AT, name=name).client.code == code


@pytest.mark.parametrize(("version", "alert"), [("1.2", 40), ("1.3", 116)])
def test_a_client_without_a_certificate(version: str, alert: int) -> None:
    """The server refuses it, with another alert in each version and no verify error."""
    played = replay(party(), SERVES, AT, version=version)
    assert played.server == Says(False, (), alert, "peer did not return a certificate")


@pytest.mark.parametrize(("depth", "codes"), [(0, [(22, 1)]), (1, [])])
def test_the_depth_counts_intermediates(depth: int, codes: list[tuple[int, int]]) -> None:
    """A chain of one intermediate needs a depth of 1."""
    assert [(one.code, one.depth) for one in replay(CALLS, SERVES, AT, depth=depth).server.errors][:1] == codes


def test_both_refuse() -> None:
    """Where each would refuse the other both are heard, and the client is first."""
    expired = make("c", MIDDLE, ends=AT - DAY)
    played = replay(party(expired, MIDDLE, trust=OTHER), SERVES, AT)
    assert (played.client.code, played.server.code, played.refused_by) == (20, 10, Side.CLIENT)


def test_a_key_that_does_not_fit() -> None:
    """It is told as OpenSSL tells it, and no handshake begins."""
    played = replay(party(CALLER, MIDDLE, key=ROOT.key), SERVES, AT)
    assert (played.client.loading, played.server.accepted, played.refused_by) == ("key values mismatch", False, None)


def test_a_weak_key_is_told_by_the_library_of_its_owner_too() -> None:
    """At the usual level the client's own OpenSSL does not load it."""
    client, _ = CLIENT_FAULTS["weak key"]
    assert replay(client(), SERVES, AT).client.loading == "ee key too small"


def test_time_is_compared_across_zones() -> None:
    """The moment counts and not how it is written."""
    at = datetime.fromisoformat("2026-06-01T23:30:00-11:00")  # 10:30 UTC on the next day
    late = make("c", MIDDLE, ends=datetime(2026, 6, 2, 10, tzinfo=UTC))
    crossed = replay(party(late, MIDDLE), SERVES, at)
    assert crossed.server.code == 10


STRANGE_KEYS: dict[str, Any] = {
    "none": None,
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "Ed448": ed448.Ed448PrivateKey.generate(),
    "X25519": x25519.X25519PrivateKey.generate(),
    "DSA": dsa.generate_private_key(1024),
    "secp256k1": ec.generate_private_key(ec.SECP256K1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "text": "no key at all",
}


@VERSIONS
@pytest.mark.parametrize("kind", STRANGE_KEYS)
def test_strange_keys_never_raise(kind: str, version: str) -> None:
    """Whatever is given as a key, on whichever side, there is an answer."""
    key = STRANGE_KEYS[kind]
    fitting = [party(make("x", MIDDLE, key=key, names=SAN, hash_=None), MIDDLE)] if hasattr(key, "sign") else []
    for one in (Party((CALLER.certificate,), key, (ROOT.certificate,)), *fitting):
        for played in (replay(one, SERVES, AT, version=version), replay(CALLS, one, AT, version=version)):
            assert played.completed is (played.client.accepted and played.server.accepted)


@pytest.mark.parametrize("name", ["", ".", "a" * 300, "ü.example", "x\0y", "[::1]", "*.example"])
def test_strange_names_never_raise(name: str) -> None:
    """A name that is none is at worst not checked."""
    assert replay(CALLS, SERVES, AT, name=name).version == "1.2"


def test_heaps_of_certificates_never_raise() -> None:
    """The same certificate a thousand times, roots and leaves mixed, and lists of nobody."""
    heap = tuple(one.certificate for one in (CALLER, ROOT, MIDDLE, OTHER)) * 250
    lists = tuple(make_crl(one) for one in (OTHER, MIDDLE)) * 10
    played = replay(Party(heap, CALLER.key, heap, lists), Party(heap, CALLER.key, heap, lists), AT)
    assert played.completed is False


def test_no_other_version_is_played() -> None:
    """It says which are."""
    says = Says(False, text="TLS 1.1 is not replayed, only 1.2 and 1.3")
    assert replay(CALLS, SERVES, AT, version="1.1") == Replayed("1.1", False, says, says)


def test_no_key_is_shown() -> None:
    """The representation of a party has none."""
    assert "key" not in repr(CALLS)


@pytest.mark.parametrize(("code", "text"), [(10, "certificate has expired"), (23, "certificate revoked")])
def test_texts_are_openssls(code: int, text: str) -> None:
    """A code has the text of the library."""
    assert verify_text(code) == text


REAL: dict[str, Callable[[datetime], Holder]] = {
    "expired": lambda now: make("c", ROOT, begins=now - 2 * DAY, ends=now - DAY),
    "unknown authority": lambda now: make("c", OTHER, begins=now - DAY, ends=now + DAY),
    "for servers only": lambda now: make("c", ROOT, begins=now - DAY, ends=now + DAY, usages=[SERVER]),
}


@pytest.mark.parametrize("fault", REAL)
def test_a_real_server_logs_the_same_code(fault: str, tmp_path: Path) -> None:
    """`openssl s_server -Verify` logs, of a real connection, the code that is replayed."""
    now = datetime.now(UTC).replace(microsecond=0)
    wide: dict[str, Any] = {"begins": now - 300 * DAY, "ends": now + 300 * DAY}
    root = make("Root", authority=True, key=ROOT.key, **wide)
    server = make(NAME, root, names=SAN, **wide)
    client = REAL[fault](now)
    files = {"ca": [root], "server": [server], "client": [client]}
    for name, holders in files.items():
        pem = b"".join(one.certificate.public_bytes(Encoding.PEM) for one in holders)
        key = holders[0].key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / name).write_bytes(pem + key)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = f"-accept 127.0.0.1:{port} -naccept 1 -Verify 5 -CAfile ca -cert server -key server -www"
    log = tmp_path / "log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            ["openssl", "s_server", "-tls1_2", *arguments.split()], cwd=tmp_path, stdout=out, stderr=out
        )
    try:
        deadline = time.monotonic() + 20
        while b"ACCEPT" not in log.read_bytes() and time.monotonic() < deadline:
            time.sleep(0.02)
        dial = f"-connect 127.0.0.1:{port} -cert client -key client"
        subprocess.run(
            ["openssl", "s_client", "-tls1_2", *dial.split()], cwd=tmp_path, input=b"", capture_output=True, timeout=20,
            check=False,
        )  # fmt: skip
        child.wait(timeout=20)
    finally:
        child.kill()
        child.wait()
    logged = [int(found) for found in re.findall(rb"verify error:num=(\d+)", log.read_bytes())]
    played = replay(party(client, trust=root), party(server, trust=root), now)
    assert logged[:1] == [played.server.code]
