"""A configuration judged: settings, files, and a client's certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.doctor.config.judge import judge
from handclasp.doctor.config.model import Configuration, Load, MutualServer, Named, Setting, Verify
from handclasp.doctor.diagnosis import Ailment, Diagnosis, Place, Severity
from handclasp.doctor.files.gather import Gathered
from handclasp.doctor.sources import Source
from handclasp.findings import Code
from handclasp.pki import pem
from handclasp.pki.keys import private_pem
from handclasp.testing import chains
from handclasp.testing.chains import AT, Holder

FILE = "/etc/nginx/nginx.conf"
ROOT = chains.make("Clients root", authority=True)
ISSUING = chains.make("Clients issuing", ROOT, authority=True)
LOWER = chains.make("Clients lower", ISSUING, authority=True)
CLIENT = chains.make("client", ISSUING, usages=(chains.CLIENT,))
SERVER = chains.make("api.test", names=(x509.DNSName("api.test"),), ends=AT + timedelta(days=400))
FILES = {"s.pem": pem.pem(SERVER.certificate), "s.key": private_pem(SERVER.key), "ca.pem": pem.pem(ROOT.certificate)}


def at(line: int) -> Place:
    return Place(FILE, line)


MUTUAL = MutualServer(
    product="nginx",
    name="443 (api.test)",
    place=at(1),
    verify=Setting("on", at(2)),
    verifies=Verify.REQUIRED,
    certificates=(Named("s.pem", at(3)),),
    keys=(Named("s.key", at(4)),),
    trust=(Named("ca.pem", at(5)),),
    depth=1,
    protocols=("TLSv1.2", "TLSv1.3"),
)
LISTED = replace(MUTUAL, crls=(Named("crl.pem", at(6)),))


def judged(server: MutualServer = MUTUAL, client: Gathered | None = None, **files: bytes) -> Diagnosis:
    """With these files instead of, or besides, the good ones; their names with _ for the dot."""
    present = {**FILES, **{name.replace("_", "."): data for name, data in files.items()}}
    return judge(Configuration("nginx", (FILE,), (server,)), loader(present), AT, client)


def loader(present: Mapping[str, bytes]) -> Load:
    def load(path: str) -> Source:
        if path in present:
            return Source(path, present[path], mode=0o600)
        return Source(path, b"", unreadable="there is no such file")

    return load


def crl(issuer: Holder, ends: timedelta = timedelta(days=1)) -> bytes:
    return chains.make_crl(issuer, begins=AT - timedelta(days=2), ends=AT + ends).public_bytes(Encoding.PEM)


def told(diagnosis: Diagnosis) -> list[tuple[Code, Severity, str]]:
    return [(one.code, one.severity, str(one.place)) for one in diagnosis.findings]


def presenting(holder: Holder, *above: Holder) -> Gathered:
    sent = (holder.certificate, *(one.certificate for one in above))
    return Gathered(key=holder.key, sent=sent, known=sent)


CRL = crl(ROOT)
SECRET = FILES["s.key"].split(b"\n")[1].decode()
UNREVOKED = (Code.CONFIG_NO_REVOCATION, Severity.NOTE, f"{FILE}:2")


def test_a_sound_server_is_healthy() -> None:
    """What is left is a note, with the product's own line; the exit code is 0."""
    found = judged()
    assert (found.code, found.exit_code, told(found)) == (Code.OK, 0, [UNREVOKED])
    assert found.findings[0].fixes[0].configuration == ("ssl_crl crl.pem;",)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (replace(MUTUAL, verifies=Verify.NONE), [(Code.MTLS_NOT_ENFORCED, Severity.ERROR, f"{FILE}:2")]),
        (
            replace(MUTUAL, verifies=Verify.OPTIONAL_UNVERIFIED),
            [(Code.MTLS_NOT_ENFORCED, Severity.ERROR, f"{FILE}:2")],
        ),
        (
            replace(MUTUAL, verifies=Verify.OPTIONAL),
            [(Code.MTLS_OPTIONAL, Severity.WARNING, f"{FILE}:2"), UNREVOKED],
        ),
        (
            replace(MUTUAL, protocols=("TLSv1", "TLSv1.2"), protocols_place=at(7)),
            [(Code.CONFIG_WEAK_PROTOCOL, Severity.WARNING, f"{FILE}:7"), UNREVOKED],
        ),
        (
            replace(MUTUAL, resumes=Setting("tickets", at(8))),
            [UNREVOKED, (Code.CONFIG_RESUMPTION, Severity.NOTE, f"{FILE}:8")],
        ),
        (replace(MUTUAL, trust=()), [(Code.TRUST_STORE_UNREADABLE, Severity.ERROR, f"{FILE}:2"), UNREVOKED]),
        (
            replace(MUTUAL, keys=(Named("gone.key", at(9)),)),
            [(Code.CONFIG_FILE_MISSING, Severity.ERROR, f"{FILE}:9"), UNREVOKED],
        ),
    ],
    ids=["not asked", "unverified", "optional", "protocol", "resumption", "no authorities", "missing"],
)
def test_a_setting_is_told_where_it_stands(changed: MutualServer, expected: list[tuple[Code, Severity, str]]) -> None:
    """Each with its line; errors come first."""
    assert told(judged(changed)) == expected


def test_the_readers_own_word_replaces_the_general_one() -> None:
    """It has seen more: a rule that looks at the result of an optional certificate."""
    own = Ailment(Code.MTLS_OPTIONAL, "server", "guarded", Severity.NOTE, place=at(12))
    found = judged(replace(MUTUAL, verifies=Verify.OPTIONAL, ailments=(own,)))
    assert told(found) == [(Code.MTLS_OPTIONAL, Severity.NOTE, f"{FILE}:12"), UNREVOKED]


def test_files_must_fit_together() -> None:
    """The key of another certificate; a certificate that has expired; a bundle without certificates."""
    old = chains.make("api.test", key=SERVER.key, names=(x509.DNSName("api.test"),), ends=AT - timedelta(days=1))
    assert (Code.SERVER_KEY_MISMATCH, Severity.ERROR, f"{FILE}:4") in told(judged(s_key=private_pem(CLIENT.key)))
    assert (Code.SERVER_CERT_EXPIRED, Severity.ERROR, f"{FILE}:3") in told(judged(s_pem=pem.pem(old.certificate)))
    assert Code.TRUST_STORE_UNREADABLE in [one.code for one in judged(ca_pem=b"nothing").findings]


def test_a_key_that_others_can_read_is_told() -> None:
    """By the mode of its file."""
    source = Source("s.key", FILES["s.key"], mode=0o644)
    server = replace(MUTUAL, keys=(Named("s.key", at(4), source),))
    assert (Code.FILE_KEY_EXPOSED, Severity.ERROR, "s.key") in told(judged(server))


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        (crl(ROOT), []),
        (crl(ROOT, -timedelta(days=1)), [(Code.SERVER_CRL_EXPIRED, Severity.ERROR, f"{FILE}:6")]),
        (crl(ISSUING), [(Code.SERVER_CRL_MISSING, Severity.ERROR, f"{FILE}:6")]),
    ],
    ids=["good", "out of date", "of another authority"],
)
def test_every_trusted_authority_needs_a_list_in_date(lists: bytes, expected: list[tuple[Code, Severity, str]]) -> None:
    """Otherwise the server refuses everybody at once."""
    assert told(judged(LISTED, crl_pem=lists)) == expected


def test_the_depth_is_measured_against_the_trusted_hierarchy() -> None:
    """Two intermediates are trusted one below the other, and nginx follows one."""
    found = judged(ca_pem=pem.pem(ROOT.certificate, ISSUING.certificate, LOWER.certificate))
    assert told(found) == [(Code.CONFIG_DEPTH_TOO_SMALL, Severity.ERROR, f"{FILE}:1"), UNREVOKED]
    assert found.findings[0].fixes[0].configuration == ("ssl_verify_depth 2;",)


def test_an_intermediate_without_its_root_lets_nobody_in() -> None:
    """nginx and HAProxy end a path at a root only; Envoy and Caddy at any trusted certificate."""
    bundle = pem.pem(ISSUING.certificate)
    assert told(judged(ca_pem=bundle)) == [(Code.TRUST_STORE_UNREADABLE, Severity.ERROR, f"{FILE}:5"), UNREVOKED]
    assert told(judged(replace(MUTUAL, product="caddy", depth=None), ca_pem=bundle)) == [UNREVOKED]


def test_public_authorities_are_known_by_fingerprint_and_by_name() -> None:
    """The first is sure; a name is a warning."""
    fingerprint = ROOT.certificate.fingerprint(hashes.SHA256())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "DigiCert Inc")])
    named = chains.make(name, authority=True)
    expected = (Code.CONFIG_PUBLIC_ROOTS, f"{FILE}:5")
    sure = judge(Configuration("nginx", (FILE,), (MUTUAL,)), loader(FILES), AT, public={fingerprint}).findings[0]
    likely = judged(ca_pem=pem.pem(named.certificate)).findings[0]
    assert ((sure.code, str(sure.place)), sure.severity) == (expected, Severity.ERROR)
    assert ((likely.code, str(likely.place)), likely.severity) == (expected, Severity.WARNING)


def test_a_client_is_let_in_with_its_whole_chain() -> None:
    """OpenSSL agrees in a handshake in memory."""
    found = judged(client=presenting(CLIENT, ISSUING))
    assert (found.evidence[-1].seen, found.evidence[-1].facts["openssl"]) == ("accepted", "accepted")
    assert not [one for one in found.findings if one.severity is Severity.ERROR]
    assert found.verdict.startswith("The client's certificate is accepted by 443 (api.test).")


@pytest.mark.parametrize(
    ("client", "server", "files", "code"),
    [
        (presenting(CLIENT), MUTUAL, {}, Code.CLIENT_CHAIN_INCOMPLETE),
        (presenting(chains.make("client")), MUTUAL, {}, Code.CLIENT_CERT_SELF_SIGNED),
        (
            presenting(chains.make("client", ROOT, ends=AT - timedelta(days=1))),
            MUTUAL,
            {},
            Code.CLIENT_CERT_EXPIRED,
        ),
        (presenting(CLIENT, ISSUING), LISTED, {"crl_pem": crl(ROOT)}, Code.SERVER_CRL_MISSING),
        (presenting(CLIENT), MUTUAL, {"ca_pem": pem.pem(ISSUING.certificate)}, Code.CLIENT_CERT_UNKNOWN_CA),
        (Gathered(), MUTUAL, {}, Code.CLIENT_CERT_MISSING),
    ],
    ids=["incomplete", "self-signed", "expired", "no list for the intermediate", "no root", "none"],
)
def test_a_client_is_refused_with_the_cause(
    client: Gathered, server: MutualServer, files: dict[str, bytes], code: Code
) -> None:
    """The cause is the verdict, and has a place in the configuration."""
    found = judged(server, client, **files)
    first = found.findings[0]
    assert (found.code, first.code, first.place is not None, found.exit_code) == (code, code, True, 1)
    assert found.verdict.startswith("The client's certificate is refused by 443 (api.test).")


def test_a_chain_deeper_than_the_server_follows_is_told_on_both_sides() -> None:
    """The client's finding, and the line that lets it in."""
    leaf = chains.make("client", LOWER, usages=(chains.CLIENT,))
    found = judged(client=presenting(leaf, LOWER, ISSUING))
    deep = [one for one in found.findings if one.code is Code.CONFIG_DEPTH_TOO_SMALL]
    assert found.evidence[-1].seen.startswith("refused")
    assert [one.fixes[0].configuration for one in deep] == [("ssl_verify_depth 2;",)]


def test_nothing_that_asks_for_certificates_is_said_plainly() -> None:
    """It is no fault: the code is OK."""
    found = judge(Configuration("nginx", (FILE,)), loader({}), AT)
    assert (found.code, found.exit_code, found.verdict) == (
        Code.OK,
        0,
        "No server in this configuration of nginx asks for client certificates.",
    )


def test_a_configuration_that_cannot_be_read_was_not_examined() -> None:
    """Exit code 2."""
    fault = Ailment(Code.CONFIG_UNREADABLE, FILE, "it is damaged", place=Place(FILE, 3))
    assert judge(Configuration("nginx", (FILE,), (), (fault,)), loader({}), AT).exit_code == 2


@settings(max_examples=30)
@given(st.binary(max_size=300), st.sampled_from(["s_pem", "s_key", "ca_pem", "crl_pem"]), st.integers(0, 900))
def test_no_octets_raise(noise: bytes, name: str, cut: int) -> None:
    """Whatever a named file holds, noise or a good file cut and spoilt, there is an answer; no key is in it."""
    good = {**FILES, "crl.pem": CRL}[name.replace("_", ".")]
    for data in (noise, good[:cut] + noise + good[cut:]):
        found = judged(LISTED, presenting(CLIENT, ISSUING), **{"crl_pem": CRL, name: data})
        assert SECRET not in repr(found)
