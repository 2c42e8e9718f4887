"""The path verifier beside `openssl verify`: on chains that both decide, they accept and refuse the same."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.findings import Code
from handclasp.pki.chain import ExpectedName, Purpose, Revocation, Rules, Trust, examine
from handclasp.testing.chains import AT, CLIENT, SERVER, Holder, key_usage, make, make_crl

NAMES = [
    x509.DNSName("api.example.org"),
    x509.IPAddress(ip_address("192.0.2.7")),
    x509.UniformResourceIdentifier("spiffe://example.org/checkout"),
    x509.RFC822Name("ops@example.org"),
]
OUT_OF_DATE: dict[str, Any] = {"begins": AT - timedelta(days=9), "ends": AT - timedelta(days=1)}
NOT_YET: dict[str, Any] = {"begins": AT + timedelta(days=1)}
UNKNOWN = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"), True)


@dataclass
class Scene:
    """What is made: arguments for each certificate of root, intermediate, issuing, leaf; and how it is asked."""

    root: dict[str, Any] = field(default_factory=dict)
    middle: dict[str, Any] = field(default_factory=dict)
    issuing: dict[str, Any] = field(default_factory=dict)
    leaf: dict[str, Any] = field(default_factory=dict)
    purpose: Purpose = Purpose.CLIENT
    name: ExpectedName | None = None
    anchor: str = "root"
    sent: tuple[str, ...] = ("middle", "issuing")
    revoked: tuple[str, ...] = ()
    lists: Callable[[dict[str, Holder]], list[x509.CertificateRevocationList]] | None = None
    check_crls: bool = False
    forged: str | None = None


def constrained(*permitted: x509.GeneralName, excluded: tuple[x509.GeneralName, ...] = ()) -> dict[str, Any]:
    return {"add": [(x509.NameConstraints(permitted or None, excluded or None), True)]}


def expired_list(made: dict[str, Holder]) -> list[x509.CertificateRevocationList]:
    return [*current_lists(made)[:-1], make_crl(made["issuing"], ends=AT - timedelta(minutes=1))]


def forged_list(made: dict[str, Holder]) -> list[x509.CertificateRevocationList]:
    return [*current_lists(made)[:-1], make_crl(made["issuing"], key=made["leaf"].key)]


def missing_list(made: dict[str, Holder]) -> list[x509.CertificateRevocationList]:
    return current_lists(made)[:-1]


def current_lists(made: dict[str, Holder], revoked: tuple[str, ...] = ()) -> list[x509.CertificateRevocationList]:
    issued = {"root": ("root", "middle"), "middle": ("issuing",), "issuing": ("leaf",)}
    return [
        make_crl(made[issuer], [made[name].certificate for name in names if name in revoked])
        for issuer, names in issued.items()
    ]


GOOD: dict[str, Scene] = {
    "plain": Scene(),
    "server": Scene(purpose=Purpose.SERVER),
    "any purpose": Scene(purpose=Purpose.ANY),
    "host name": Scene(purpose=Purpose.SERVER, name="api.example.org"),
    "host name in capitals": Scene(purpose=Purpose.SERVER, name="API.example.org"),
    "address": Scene(purpose=Purpose.SERVER, name=ip_address("192.0.2.7")),
    "wildcard": Scene(purpose=Purpose.SERVER, name="x.example.org", leaf={"names": [x509.DNSName("*.example.org")]}),
    "path lengths that fit": Scene(middle={"path_length": 1}, issuing={"path_length": 0}),
    "trusted intermediate": Scene(anchor="middle", sent=("issuing",)),
    "trusted issuing authority": Scene(anchor="issuing", sent=()),
    "sent in the wrong order": Scene(sent=("issuing", "middle")),
    "root sent too": Scene(sent=("root", "middle", "issuing")),
    "no extended key usage": Scene(leaf={"usages": ()}),
    "authority limited to the purpose": Scene(issuing={"usages": [CLIENT]}),
    "encipherment only, server": Scene(purpose=Purpose.SERVER, leaf={"usage": key_usage("key_encipherment")}),
    "dns within": Scene(issuing=constrained(x509.DNSName("example.org"))),
    "dns of another kind": Scene(issuing=constrained(x509.DirectoryName(x509.Name([])))),
    "address within": Scene(middle=constrained(x509.IPAddress(ip_network("192.0.2.0/24")))),
    "uri within": Scene(root=constrained(x509.UniformResourceIdentifier("example.org"))),
    "email within": Scene(issuing=constrained(x509.RFC822Name("example.org"))),
    "mailbox within": Scene(issuing=constrained(x509.RFC822Name("ops@example.org"))),
    "dns not excluded": Scene(issuing=constrained(excluded=(x509.DNSName("example.com"),))),
    "nothing revoked": Scene(check_crls=True),
    "leaf of Ed25519": Scene(leaf={"key": ed25519.Ed25519PrivateKey.generate()}),
    "begins this second": Scene(leaf={"begins": AT}),
}

BAD: dict[str, tuple[Scene, Code]] = {
    "leaf expired": (Scene(leaf=OUT_OF_DATE), Code.CHAIN_EXPIRED),
    "issuing expired": (Scene(issuing=OUT_OF_DATE), Code.CHAIN_EXPIRED),
    "root expired": (Scene(root=OUT_OF_DATE), Code.CHAIN_EXPIRED),
    "leaf not yet valid": (Scene(leaf=NOT_YET), Code.CHAIN_NOT_YET_VALID),
    "middle not yet valid": (Scene(middle=NOT_YET), Code.CHAIN_NOT_YET_VALID),
    "ended a second ago": (Scene(leaf={"ends": AT - timedelta(seconds=1)}), Code.CHAIN_EXPIRED),
    "server as client": (Scene(leaf={"usages": [SERVER]}), Code.CHAIN_EXTENDED_KEY_USAGE),
    "client as server": (Scene(leaf={"usages": [CLIENT]}, purpose=Purpose.SERVER), Code.CHAIN_EXTENDED_KEY_USAGE),
    "any extended key usage alone": (
        Scene(leaf={"usages": [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]}),
        Code.CHAIN_EXTENDED_KEY_USAGE,
    ),
    "authority for servers only": (Scene(issuing={"usages": [SERVER]}), Code.CHAIN_EXTENDED_KEY_USAGE),
    "key for encryption only": (Scene(leaf={"usage": key_usage("data_encipherment")}), Code.CHAIN_KEY_USAGE),
    "encipherment only, client": (Scene(leaf={"usage": key_usage("key_encipherment")}), Code.CHAIN_KEY_USAGE),
    "issuing is no authority": (
        Scene(issuing={"add": [(x509.BasicConstraints(False, None), True)]}),
        Code.CHAIN_NOT_AN_AUTHORITY,
    ),
    "middle may not sign certificates": (Scene(middle={"usage": key_usage("crl_sign")}), Code.CHAIN_KEY_USAGE),
    "path too long for middle": (Scene(middle={"path_length": 0}), Code.CHAIN_PATH_LENGTH),
    "path too long for root": (Scene(root={"path_length": 1}), Code.CHAIN_PATH_LENGTH),
    "unknown critical extension of the leaf": (Scene(leaf={"add": [UNKNOWN]}), Code.CHAIN_UNKNOWN_CRITICAL),
    "unknown critical extension of middle": (Scene(middle={"add": [UNKNOWN]}), Code.CHAIN_UNKNOWN_CRITICAL),
    "issuing not sent": (Scene(sent=("middle",)), Code.CHAIN_UNTRUSTED),
    "middle not sent": (Scene(sent=("issuing",)), Code.CHAIN_UNTRUSTED),
    "another host": (Scene(purpose=Purpose.SERVER, name="db.example.org"), Code.CHAIN_NAME_MISMATCH),
    "another address": (Scene(purpose=Purpose.SERVER, name=ip_address("192.0.2.8")), Code.CHAIN_NAME_MISMATCH),
    "wildcard over two labels": (
        Scene(purpose=Purpose.SERVER, name="a.b.example.org", leaf={"names": [x509.DNSName("*.example.org")]}),
        Code.CHAIN_NAME_MISMATCH,
    ),
    "wildcard of the domain itself": (
        Scene(purpose=Purpose.SERVER, name="example.org", leaf={"names": [x509.DNSName("*.example.org")]}),
        Code.CHAIN_NAME_MISMATCH,
    ),
    "dns outside": (Scene(issuing=constrained(x509.DNSName("example.com"))), Code.CHAIN_NAME_CONSTRAINTS),
    "dns excluded": (Scene(root=constrained(excluded=(x509.DNSName("example.org"),))), Code.CHAIN_NAME_CONSTRAINTS),
    "all dns excluded": (Scene(root=constrained(excluded=(x509.DNSName(""),))), Code.CHAIN_NAME_CONSTRAINTS),
    "address outside": (
        Scene(middle=constrained(x509.IPAddress(ip_network("198.51.100.0/24")))),
        Code.CHAIN_NAME_CONSTRAINTS,
    ),
    "all addresses excluded": (
        Scene(middle=constrained(excluded=(x509.IPAddress(ip_network("0.0.0.0/0")),))),
        Code.CHAIN_NAME_CONSTRAINTS,
    ),
    "uri outside": (
        Scene(issuing=constrained(x509.UniformResourceIdentifier("example.com"))),
        Code.CHAIN_NAME_CONSTRAINTS,
    ),
    "uri below only": (
        Scene(issuing=constrained(x509.UniformResourceIdentifier(".example.org"))),
        Code.CHAIN_NAME_CONSTRAINTS,
    ),
    "email outside": (Scene(issuing=constrained(x509.RFC822Name("example.com"))), Code.CHAIN_NAME_CONSTRAINTS),
    "another mailbox": (Scene(issuing=constrained(x509.RFC822Name("dev@example.org"))), Code.CHAIN_NAME_CONSTRAINTS),
    "leaf revoked": (Scene(check_crls=True, revoked=("leaf",)), Code.CHAIN_REVOKED),
    "issuing revoked": (Scene(check_crls=True, revoked=("issuing",)), Code.CHAIN_REVOKED),
    "list missing": (Scene(check_crls=True, lists=missing_list), Code.CHAIN_CRL_MISSING),
    "list expired": (Scene(check_crls=True, lists=expired_list), Code.CHAIN_CRL_EXPIRED),
    "list of another key": (Scene(check_crls=True, lists=forged_list), Code.CHAIN_CRL_INVALID),
    "issuing may not sign lists": (
        Scene(check_crls=True, issuing={"usage": key_usage("key_cert_sign")}),
        Code.CHAIN_CRL_INVALID,
    ),
    "leaf forged": (Scene(forged="leaf"), Code.CHAIN_BAD_SIGNATURE),
    "issuing forged": (Scene(forged="issuing"), Code.CHAIN_BAD_SIGNATURE),
}


DIFFERENT: dict[str, tuple[Scene, bool, set[Code]]] = {
    "ends this second": (Scene(leaf={"ends": AT}), False, set()),
    "root on its own list": (Scene(check_crls=True, revoked=("root",)), False, set()),
    "host in the common name only": (
        Scene(purpose=Purpose.SERVER, name="leaf", leaf={"names": ()}),
        True,
        {Code.CHAIN_NAME_MISMATCH},
    ),
    "wildcard for an excluded host": (
        Scene(
            leaf={"names": [x509.DNSName("*.example.org")]},
            issuing=constrained(excluded=(x509.DNSName("db.example.org"),)),
        ),
        True,
        {Code.CHAIN_NAME_CONSTRAINTS},
    ),
    "every URI excluded": (
        Scene(issuing=constrained(excluded=(x509.UniformResourceIdentifier(""),))),
        True,
        {Code.CHAIN_NAME_CONSTRAINTS},
    ),
}
"""Where the two differ on purpose: whether OpenSSL accepts, and our codes. docs/path-validation.md has why."""


def forged(holder: Holder) -> Holder:
    """The same certificate with its signature changed in its last octet."""
    der = bytearray(holder.der)
    der[-1] ^= 1
    return Holder(x509.load_der_x509_certificate(bytes(der)), holder.key)


def built(scene: Scene) -> dict[str, Holder]:
    root = make("root", authority=True, **scene.root)
    middle = make("middle", root, authority=True, **scene.middle)
    issuing = make("issuing", middle, authority=True, **scene.issuing)
    leaf = make("leaf", issuing, **{"names": NAMES} | scene.leaf)
    made = {"root": root, "middle": middle, "issuing": issuing, "leaf": leaf}
    if scene.forged:
        made[scene.forged] = forged(made[scene.forged])
    return made


def crls_of(scene: Scene, made: dict[str, Holder]) -> list[x509.CertificateRevocationList]:
    if not scene.check_crls:
        return []
    return (scene.lists or (lambda those: current_lists(those, scene.revoked)))(made)


def openssl_accepts(directory: Path, scene: Scene, made: dict[str, Holder]) -> bool:
    def written(name: str, *holders: x509.Certificate | x509.CertificateRevocationList) -> str:
        path = directory / name
        path.write_bytes(b"".join(holder.public_bytes(Encoding.PEM) for holder in holders))
        return str(path)

    command = ["openssl", "verify", "-attime", str(int(AT.timestamp())), "-no-CApath", "-no-CAstore", "-partial_chain"]
    command += ["-CAfile", written("anchor.pem", made[scene.anchor].certificate)]
    if scene.sent:
        command += ["-untrusted", written("sent.pem", *(made[name].certificate for name in scene.sent))]
    if scene.check_crls:
        command += ["-crl_check_all", "-CRLfile", written("crls.pem", *crls_of(scene, made))]
    match scene.purpose:
        case Purpose.CLIENT:
            command += ["-purpose", "sslclient"]
        case Purpose.SERVER:
            command += ["-purpose", "sslserver"]
    if isinstance(scene.name, str):
        command += ["-verify_hostname", scene.name]
    elif scene.name is not None:
        command += ["-verify_ip", str(scene.name)]
    command.append(written("leaf.pem", made["leaf"].certificate))
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode in (0, 2), done.stderr
    return done.returncode == 0


def codes(scene: Scene, made: dict[str, Holder], rules: Rules) -> set[Code]:
    verdict = examine(
        made["leaf"].der,
        [made[name].der for name in scene.sent],
        Trust.of([made[scene.anchor].der], crls=crls_of(scene, made)),
        at=AT,
        purpose=scene.purpose,
        name=scene.name,
        rules=rules,
        revocation=Revocation.REQUIRED if scene.check_crls else Revocation.GIVEN,
    )
    assert (verdict.path is None) == bool(verdict.findings)
    return {finding.code for finding in verdict.findings}


@pytest.mark.parametrize("scene", GOOD.values(), ids=GOOD.keys())
def test_both_accept(tmp_path: Path, scene: Scene) -> None:
    """A good chain is accepted by OpenSSL, and by us under both sets of rules."""
    made = built(scene)
    assert openssl_accepts(tmp_path, scene, made)
    assert codes(scene, made, Rules.PROFILE) == codes(scene, made, Rules.PATH) == set()


@pytest.mark.parametrize(("scene", "code"), BAD.values(), ids=BAD.keys())
def test_both_refuse(tmp_path: Path, scene: Scene, code: Code) -> None:
    """A chain with one fault is refused by OpenSSL, and by us with the code of that fault and no other."""
    made = built(scene)
    assert not openssl_accepts(tmp_path, scene, made)
    assert codes(scene, made, Rules.PATH) == {code}
    assert code in codes(scene, made, Rules.PROFILE)


@pytest.mark.parametrize(("scene", "accepted", "ours"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_known_differences(tmp_path: Path, scene: Scene, accepted: bool, ours: set[Code]) -> None:
    """The documented differences are differences still."""
    made = built(scene)
    assert (openssl_accepts(tmp_path, scene, made), codes(scene, made, Rules.PATH)) == (accepted, ours)


PAIRS = [
    (one, other)
    for one, other in itertools.combinations(BAD, 2)
    if not any(
        getattr(BAD[one][0], part) and getattr(BAD[other][0], part) for part in ("root", "middle", "issuing", "leaf")
    )
    and BAD[one][0].purpose is BAD[other][0].purpose
    and all(
        scene.sent == ("middle", "issuing") and not scene.lists and not scene.forged
        for scene in (BAD[one][0], BAD[other][0])
    )
]


@pytest.mark.parametrize(("one", "other"), PAIRS[::7], ids=lambda name: name)
def test_two_faults_are_both_reported(one: str, other: str) -> None:
    """A chain with two faults is refused for both, where OpenSSL stops at one."""
    (first, code), (second, other_code) = BAD[one], BAD[other]
    both = Scene(
        **{part: getattr(first, part) or getattr(second, part) for part in ("root", "middle", "issuing", "leaf")},
        purpose=first.purpose,
        name=first.name or second.name,
        revoked=first.revoked + second.revoked,
        check_crls=first.check_crls or second.check_crls,
    )
    assert {code, other_code} <= codes(both, built(both), Rules.PATH)


def test_sha1_is_a_fault_under_the_profile_only(tmp_path: Path) -> None:
    """OpenSSL still makes and takes such signatures at its default level; on an anchor's own they do not matter."""
    root, key, leaf = (str(tmp_path / name) for name in ("root.pem", "key.pem", "leaf.pem"))
    new = ["openssl", "req", "-x509", "-sha1", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    own = ["-subj", "/CN=root", "-keyout", key, "-out", root, "-addext", "keyUsage=critical,keyCertSign"]
    names = ["-addext", "subjectAltName=DNS:api.example.org", "-addext", "basicConstraints=critical,CA:FALSE"]
    sign = ["-subj", "/CN=leaf", "-keyout", str(tmp_path / "k.pem"), "-out", leaf, "-CA", root, "-CAkey", key, *names]
    for arguments in (own, sign):
        subprocess.run([*new, "-days", "9", *arguments], check=True, capture_output=True, timeout=30)
    anchor, certificate = (x509.load_pem_x509_certificate(Path(name).read_bytes()) for name in (root, leaf))
    at = certificate.not_valid_before_utc
    found = {
        rules: examine(certificate, [], Trust.of([anchor]), at=at, purpose=Purpose.SERVER, rules=rules)
        for rules in Rules
    }
    assert [finding.code for finding in found[Rules.PROFILE].findings] == [Code.CHAIN_WEAK_SIGNATURE]
    assert found[Rules.PATH].path == (certificate, anchor)
