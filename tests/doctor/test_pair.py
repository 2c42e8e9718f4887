"""Both sides' files: who breaks the handshake off, by which code, and what both would log."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from handclasp.doctor.diagnosis import Diagnosis, Severity, Side
from handclasp.doctor.pair import pair
from handclasp.doctor.pair_words import code_of
from handclasp.doctor.replay import Judged
from handclasp.doctor.sources import Credentials, Source
from handclasp.findings import Code
from handclasp.testing.chains import AT, CLIENT, SERVER, Holder, make, make_crl

DAY = timedelta(days=1)
YEAR: dict[str, Any] = {"begins": AT - 100 * DAY, "ends": AT + 265 * DAY}
NAME = "api.example"
SAN = [x509.DNSName(NAME)]
ROOT = make("Clients Root", authority=True, **YEAR)
MIDDLE = make("Clients Issuing", ROOT, authority=True, **YEAR)
SERVER_ROOT = make("Servers Root", authority=True, **YEAR)
SERVER_MIDDLE = make("Servers Issuing", SERVER_ROOT, authority=True, **YEAR)
OTHER = make("Elsewhere", authority=True, **YEAR)
LEAF = make(NAME, SERVER_MIDDLE, names=SAN, usages=[SERVER], **YEAR)
CALLER = make("caller", MIDDLE, usages=[CLIENT], **YEAR)
WEAK = rsa.generate_private_key(65537, 1024)


def pem(*holders: Holder) -> bytes:
    return b"".join(one.certificate.public_bytes(Encoding.PEM) for one in holders)


def key_pem(key: Any, passphrase: bytes | None = None) -> bytes:
    how = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    octets: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
    return octets


def side(
    *sent: Holder, key: Any = None, trust: Holder | None = None, apart: tuple[Holder, ...] = (), crls: Any = ()
) -> Credentials:
    """The files of one side: the chain, its key, authorities beside it (``apart``), and what is given as trust."""
    own = key or (sent[0].key if sent else None)
    files = [Source("chain.pem", pem(*sent))] if sent else []
    files += [Source("private.key", key_pem(own))] if own is not None else []
    files += [Source("beside.pem", pem(*apart))] if apart else []
    lists = [Source(f"{at}.crl", crl.public_bytes(Encoding.PEM)) for at, crl in enumerate(crls)]
    return Credentials(files, [Source("trust.pem", pem(trust))] if trust is not None else [], lists)


def client(*sent: Holder, trust: Holder | None = SERVER_ROOT, **more: Any) -> Credentials:
    return side(*(sent or (CALLER, MIDDLE)), trust=trust, **more)


def server(*sent: Holder, trust: Holder | None = ROOT, **more: Any) -> Credentials:
    return side(*(sent or (LEAF, SERVER_MIDDLE)), trust=trust, **more)


def proof(diagnosis: Diagnosis, tried: str) -> Any:
    return next(one for one in diagnosis.evidence if one.tried.startswith(tried))


def caller(**differs: Any) -> Holder:
    return make("caller", MIDDLE, **{"usages": [CLIENT], **YEAR, **differs})


def leaf(**differs: Any) -> Holder:
    return make(NAME, SERVER_MIDDLE, **{"usages": [SERVER], "names": SAN, **YEAR, **differs})


def crls(*revoked: x509.Certificate, ends: Any = AT + DAY) -> list[x509.CertificateRevocationList]:
    return [make_crl(ROOT), make_crl(MIDDLE, revoked, begins=AT - 2 * DAY, ends=ends)]


def expired_middle() -> Credentials:
    old = make("Clients Issuing", ROOT, authority=True, begins=AT - 9 * DAY, ends=AT - DAY)
    return client(make("caller", old, **YEAR), old)


def of_client(credentials: Callable[[], Credentials]) -> Callable[[], tuple[Credentials, Credentials]]:
    return lambda: (credentials(), server())


def of_server(credentials: Callable[[], Credentials]) -> Callable[[], tuple[Credentials, Credentials]]:
    return lambda: (client(), credentials())


FAULTS: dict[str, tuple[Callable[[], tuple[Credentials, Credentials]], Code]] = {
    "client expired": (of_client(lambda: client(caller(ends=AT - DAY), MIDDLE)), Code.CLIENT_CERT_EXPIRED),
    "client not yet valid": (
        of_client(lambda: client(caller(begins=AT + DAY), MIDDLE)),
        Code.CLIENT_CERT_NOT_YET_VALID,
    ),
    "client's authority expired": (of_client(expired_middle), Code.CLIENT_CHAIN_EXPIRED),
    "client of an unknown authority": (
        of_client(lambda: client(make("caller", OTHER, **YEAR))),
        Code.CLIENT_CERT_UNKNOWN_CA,
    ),
    "client self-signed": (of_client(lambda: client(make("caller", **YEAR))), Code.CLIENT_CERT_SELF_SIGNED),
    "client without its intermediate": (
        of_client(lambda: client(CALLER, apart=(MIDDLE,))),
        Code.CLIENT_CHAIN_INCOMPLETE,
    ),
    "client of a namesake": (
        of_client(lambda: client(make("caller", make("Clients Root", authority=True, **YEAR), **YEAR))),
        Code.CLIENT_CERT_CA_NAME_COLLISION,
    ),
    "client for servers only": (of_client(lambda: client(caller(usages=[SERVER]), MIDDLE)), Code.CLIENT_CERT_WRONG_EKU),
    "client's key weak": (
        of_client(lambda: client(caller(key=WEAK, hash_=hashes.SHA256()), MIDDLE)),
        Code.CLIENT_KEY_TOO_WEAK,
    ),
    "client's key another's": (of_client(lambda: client(key=OTHER.key)), Code.CLIENT_KEY_MISMATCH),
    "client without a certificate": (lambda: (Credentials(), server()), Code.CLIENT_CERT_MISSING),
    "client's file no PEM": (
        lambda: (Credentials([Source("chain.pem", b"<html></html>")]), server()),
        Code.CLIENT_FILE_NOT_PEM,
    ),
    "client's key closed": (
        lambda: (
            Credentials(
                [Source("chain.pem", pem(CALLER, MIDDLE)), Source("private.key", key_pem(CALLER.key, b"horse"))],
                [Source("trust.pem", pem(SERVER_ROOT))],
            ),
            server(),
        ),
        Code.CLIENT_KEY_PASSPHRASE,
    ),
    "client revoked": (lambda: (client(), server(crls=crls(CALLER.certificate))), Code.CLIENT_CERT_REVOKED),
    "server's list expired": (lambda: (client(), server(crls=crls(ends=AT - DAY))), Code.SERVER_CRL_EXPIRED),
    "server's list missing": (lambda: (client(), server(crls=[make_crl(ROOT)])), Code.SERVER_CRL_MISSING),
    "server expired": (of_server(lambda: server(leaf(ends=AT - DAY), SERVER_MIDDLE)), Code.SERVER_CERT_EXPIRED),
    "server not yet valid": (
        of_server(lambda: server(leaf(begins=AT + DAY), SERVER_MIDDLE)),
        Code.SERVER_CERT_NOT_YET_VALID,
    ),
    "server of an unknown authority": (
        of_server(lambda: server(make(NAME, OTHER, names=SAN, **YEAR))),
        Code.SERVER_CERT_UNKNOWN_CA,
    ),
    "server self-signed": (of_server(lambda: server(make(NAME, names=SAN, **YEAR))), Code.SERVER_CERT_SELF_SIGNED),
    "server without its intermediate": (
        of_server(lambda: server(LEAF, apart=(SERVER_MIDDLE,))),
        Code.SERVER_CHAIN_INCOMPLETE,
    ),
    "server for clients only": (
        of_server(lambda: server(leaf(usages=[CLIENT]), SERVER_MIDDLE)),
        Code.SERVER_CERT_WRONG_EKU,
    ),
    "server of another name": (
        of_server(lambda: server(leaf(names=[x509.DNSName("b.example")]), SERVER_MIDDLE)),
        Code.SERVER_CERT_HOSTNAME_MISMATCH,
    ),
    "server without a name": (of_server(lambda: server(leaf(names=()), SERVER_MIDDLE)), Code.SERVER_CERT_NO_SAN),
    "server's key weak": (
        of_server(lambda: server(leaf(key=WEAK, hash_=hashes.SHA256()), SERVER_MIDDLE)),
        Code.SERVER_CERT_WEAK,
    ),
    "server's key another's": (of_server(lambda: server(key=OTHER.key)), Code.SERVER_KEY_MISMATCH),
    "server's key of no use": (
        of_server(lambda: server(leaf(key=dsa.generate_private_key(2048), hash_=hashes.SHA256()), SERVER_MIDDLE)),
        Code.TLS_NO_SHARED_CIPHER,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_the_verdict(fault: str) -> None:
    """The one thing that is wrong is the only candidate, the first finding, and an error."""
    make_sides, code = FAULTS[fault]
    diagnosis = pair(*make_sides(), AT, name=NAME)
    first = diagnosis.findings[0]
    assert [one.code for one in diagnosis.candidates] == [code]
    assert (first.code, first.severity, diagnosis.exit_code) == (code, Severity.ERROR, 1)


def test_two_sound_sides() -> None:
    """Nothing is found, and both versions are said to complete."""
    diagnosis = pair(client(), server(), AT, name=NAME)
    assert (diagnosis.code, diagnosis.findings, diagnosis.exit_code) == (Code.OK, (), 0)
    assert diagnosis.verdict == "The handshake completes, in TLS 1.2 and 1.3."


def test_the_depth_of_the_server() -> None:
    """A chain of one intermediate is too deep for a server that follows none."""
    assert pair(client(), server(), AT, depth=0).code is Code.CLIENT_CHAIN_TOO_DEEP


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_the_words_of_the_server_are_evidence(version: str) -> None:
    """Its verify code, text and alert, as its log will have them."""
    diagnosis = pair(client(caller(ends=AT - DAY), MIDDLE), server(), AT, name=NAME)
    assert proof(diagnosis, f"play the handshake in TLS {version}").facts == {
        "version": version,
        "completed": "false",
        "server_verify_code": "10",
        "server_verify_text": "certificate has expired",
        "server_alert": "45",
    }


def test_the_client_breaks_off_first_and_the_server_is_heard() -> None:
    """With a fault on each side the server's chain is the verdict, and the client's is told too."""
    diagnosis = pair(client(caller(ends=AT - DAY), MIDDLE), server(leaf(ends=AT - DAY), SERVER_MIDDLE), AT)
    assert [one.code for one in diagnosis.findings] == [Code.SERVER_CERT_EXPIRED, Code.CLIENT_CERT_EXPIRED]
    assert proof(diagnosis, "play").seen.endswith("the client breaks it off")


def test_a_wrong_order_does_not_hide_the_rest() -> None:
    """The order is the verdict, and the expired certificate is found all the same."""
    diagnosis = pair(client(MIDDLE, caller_ := caller(ends=AT - DAY), key=caller_.key), server(), AT)
    assert [one.code for one in diagnosis.findings] == [Code.FILE_CHAIN_ORDER, Code.CLIENT_CERT_EXPIRED]


def test_trust_is_taken_from_the_files_of_a_side() -> None:
    """Without --trust the authorities beside the chain are it, and that is said."""
    diagnosis = pair(client(trust=None, apart=(SERVER_ROOT,)), server(trust=None, apart=(ROOT,)), AT, name=NAME)
    assert diagnosis.code is Code.OK
    assert proof(diagnosis, "choose whom the server trusts").facts == {"given": "false", "lists": "0"}


def test_what_trust_was_guessed_is_doubted() -> None:
    """An unknown authority by trust that was not given names what would decide."""
    diagnosis = pair(client(make("caller", OTHER, **YEAR)), server(trust=None, apart=(ROOT,)), AT, name=NAME)
    assert diagnosis.code is Code.CLIENT_CERT_UNKNOWN_CA
    assert diagnosis.decider == "Give the authorities by which the server judges clients."


def test_a_client_whose_trust_is_not_known() -> None:
    """A root of somebody else is not taken for the client's trust: the rest is judged."""
    assert pair(client(trust=None), server(), AT, name=NAME).code is Code.OK
    late = pair(client(trust=None), server(leaf(ends=AT - DAY), SERVER_MIDDLE), AT, name=NAME)
    assert late.code is Code.SERVER_CERT_EXPIRED


def test_a_trust_that_is_not_known_breaks_nothing_off() -> None:
    """What OpenSSL says for want of authorities is not told as the client's verdict: the server's is."""
    diagnosis = pair(client(caller(ends=AT - DAY), MIDDLE, trust=None), server(), AT, name=NAME)
    seen = proof(diagnosis, "play the handshake in TLS 1.2").seen
    assert seen.startswith("the client is taken to accept the server, since whom it trusts is not known; ")
    assert seen.endswith("the server breaks it off")


def test_a_server_whose_trust_is_not_known() -> None:
    """Whether it takes the client cannot be said, and is not."""
    diagnosis = pair(client(), server(trust=None), AT, name=NAME)
    assert (diagnosis.code, diagnosis.exit_code, diagnosis.findings) == (Code.UNKNOWN, 1, ())


def test_any_root_that_fits() -> None:
    """A root in the chain file of the other side makes the chain whole, and is taken with a remark."""
    diagnosis = pair(client(CALLER, MIDDLE, ROOT), server(trust=None), AT, name=NAME)
    assert diagnosis.code is Code.OK
    assert "any root" in proof(diagnosis, "choose whom the server trusts").seen


def test_without_a_server_there_is_nothing_to_examine() -> None:
    """Exit code 2."""
    diagnosis = pair(client(), Credentials(), AT)
    assert (diagnosis.exit_code, diagnosis.code) == (2, Code.FILE_UNSUITABLE)


def test_certificates_alone_are_judged() -> None:
    """Without private keys the chains are judged, and it is said that nothing was played."""
    bare = Credentials([Source("chain.pem", pem(CALLER, MIDDLE))], [Source("trust.pem", pem(SERVER_ROOT))])
    diagnosis = pair(bare, server(), AT, name=NAME)
    assert (diagnosis.code, proof(diagnosis, "play").tried) == (Code.OK, "play the handshake")


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0" * 5000,
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        pem(CALLER)[:400],
        b"\xff\xfe",
    ],
)
def test_any_octets_on_either_side(octets: bytes) -> None:
    """There is always a diagnosis."""
    strange = Credentials([Source("x", octets)], [Source("y", octets)], [Source("z", octets)], b"pass")
    for one, other in ((strange, server()), (client(), strange), (strange, strange)):
        assert pair(one, other, AT, name=NAME).candidates


def test_no_secret_is_told() -> None:
    """Neither the passphrase nor a line of a key is in the result."""
    closed = Credentials(
        [Source("chain.pem", pem(CALLER, MIDDLE)), Source("private.key", key_pem(CALLER.key, b"correct-horse"))],
        passphrase=b"correct-horse",
    )
    told = json.dumps(pair(closed, server(key=OTHER.key), AT).as_json()) + repr(pair(closed, server(), AT))
    lines = [*key_pem(CALLER.key).decode().splitlines()[1:-1], *key_pem(OTHER.key).decode().splitlines()[1:-1]]
    assert [one for one in ("correct-horse", "PRIVATE KEY", *lines) if one in told] == []


@pytest.mark.parametrize(
    ("judged", "side_", "code"),
    [
        (Judged(10, "", 1, ""), Side.CLIENT, Code.CLIENT_CHAIN_EXPIRED),
        (Judged(10, "", 1, ""), Side.SERVER, Code.SERVER_CERT_EXPIRED),
        (Judged(2, "", 1, ""), Side.CLIENT, Code.CLIENT_CERT_UNKNOWN_CA),
        (Judged(68, "", 1, ""), Side.CLIENT, Code.CLIENT_SIGNATURE_TOO_WEAK),
        (Judged(64, "", 0, ""), Side.SERVER, Code.SERVER_CERT_HOSTNAME_MISMATCH),
        (Judged(999, "", 0, ""), Side.CLIENT, Code.CLIENT_CHAIN_INVALID),
    ],
)
def test_verify_codes_as_the_doctors(judged: Judged, side_: Side, code: Code) -> None:
    """Each verify code is one of the doctor's, whosever chain it is about."""
    assert code_of(judged, side_) is code


def test_a_trust_that_ends_at_an_intermediate() -> None:
    """Our verifier takes an intermediate as trusted and OpenSSL's servers do not: told by OpenSSL's code."""
    diagnosis = pair(client(), server(trust=MIDDLE), AT, name=NAME)
    assert diagnosis.findings[0].facts["verify_code"] == "2"
    assert diagnosis.code is Code.CLIENT_CERT_UNKNOWN_CA


def test_elliptic_keys_that_tls_does_not_use() -> None:
    """A curve that no version takes is nothing of the chains."""
    odd = leaf(key=ec.generate_private_key(ec.SECP256K1()))
    assert pair(client(), server(odd, SERVER_MIDDLE), AT, name=NAME).exit_code == 1
