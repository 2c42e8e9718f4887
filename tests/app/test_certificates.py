"""The life of one certificate: asked for twice, renewed, put on hold, revoked, and taken in from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.app import ambient
from handclasp.app.site import Site
from handclasp.authority.crl import current_crl, deny_set
from handclasp.findings import Code
from handclasp.pki.keys import KeyType, generate
from handclasp.pki.pem import load_chain
from handclasp.testing.requests import a_request

if TYPE_CHECKING:
    from tests.app.conftest import Place


def renew(which: str, csr: str | None = None, *, supersede: bool = False) -> dict[str, Any]:
    """The arguments of cert.renew."""
    return {"which": which, "csr": csr or a_request(), "seconds": None, "supersede": supersede}


def refused_by_the_gateway(place: Place) -> tuple[dict[str, str], set[str]]:
    """What its list says (serial and reason), and the fingerprints of connections that are to end."""

    async def scenario(site: Site) -> tuple[dict[str, str], set[str]]:
        (issuer,) = site.authority.hierarchy.accepted
        crl = await current_crl(site.authority, issuer, now=ambient.now())
        listed = {}
        for one in crl:
            try:
                reason = one.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
            except x509.ExtensionNotFound:
                reason = "unspecified"
            listed[f"{one.serial_number:x}"] = reason
        return listed, set(await deny_set(site.authority, ambient.now()))

    return place.with_site(scenario)


# Request ids


def test_the_same_request_twice_is_one_certificate(place: Place) -> None:
    """Whoever did not get the answer asks again, with the same id."""
    csr = a_request()
    first, second = (place.issue(csr, name="alice", request_id="r-1") for _ in range(2))
    assert (second["serial"], second["chain"]) == (first["serial"], first["chain"])
    assert len(place.found(profile="client")) == 1


@pytest.mark.parametrize(
    "other",
    [{"name": "bob"}, {"csr": a_request()}, {"dns": ["a.example.org"]}, {"profile": "workload"}],
    ids=["name", "key", "DNS name", "profile"],
)
def test_another_request_under_the_same_id_is_refused(place: Place, other: dict[str, Any]) -> None:
    """REQUEST_REPEATED: an id is not used for two requests, and the second gets nothing."""
    csr = a_request()
    place.issue(csr, name="alice", request_id="r-1")
    refused = place.not_issued(**{"csr": csr, "name": "alice", "request_id": "r-1"} | other)
    assert refused.code is Code.REQUEST_REPEATED
    assert "r-1" in refused.what
    assert [one["identity"] for one in place.found(state="issued", prefix="spiffe://example.org/")] == [
        "spiffe://example.org/alice"
    ]


def test_a_certificate_that_was_revoked_is_not_given_out_again(place: Place) -> None:
    """CERTIFICATE_REVOKED, under the id for which it was made."""
    csr = a_request()
    told = place.issue(csr, name="alice", request_id="r-1")
    place.do("cert.revoke", which=told["serial"], reason="superseded")
    assert place.not_issued(csr, name="alice", request_id="r-1").code is Code.CERTIFICATE_REVOKED


# Showing


def test_show_tells_what_happened_to_it(place: Place) -> None:
    """Its facts, itself in PEM, and every event about it and no other, in order."""
    told = place.issue()
    place.issue()
    place.do("cert.hold", which=told["serial"])
    place.do("cert.release", which=told["serial"])
    place.do("cert.revoke", which=told["serial"], reason="key_compromise")
    shown = place.do("cert.show", which=told["fingerprint"])
    assert [(event["kind"], event["by"]) for event in shown["events"]] == [
        (f"certificate.{kind}", "operator") for kind in ("intended", "issued", "held", "released", "revoked")
    ]
    assert shown["pem"] == told["chain"][: len(shown["pem"])]
    assert (shown["state"], shown["reason"], shown["expired"]) == ("revoked", "keyCompromise", False)
    assert set(told) - set(shown) == {"chain", "bundle"}


@pytest.mark.parametrize("digits", [8, 20, 64])
@pytest.mark.parametrize("colons", [False, True], ids=["digits", "colons"])
def test_a_fingerprint_may_be_cut_short(place: Place, digits: int, colons: bool) -> None:
    """Its beginning is enough, as any tool prints it."""
    told = place.issue()
    which = told["fingerprint"][:digits]
    if colons:
        which = ":".join(which[i : i + 2] for i in range(0, digits, 2)).upper()
    assert place.do("cert.show", which=which)["serial"] == told["serial"]


@pytest.mark.parametrize("which", ["", "1", "x", "00", "ff" * 40, "'; --", "é", "deadbeef"])
def test_a_certificate_that_is_none_is_unknown(place: Place, which: str) -> None:
    """CERTIFICATE_UNKNOWN for whatever is asked."""
    assert place.refused("cert.show", which=which).code is Code.CERTIFICATE_UNKNOWN


# Hold, release and revoke


def test_hold_is_on_the_list_until_released(place: Place) -> None:
    """The gateway refuses it with the reason certificateHold and ends its connections, and then no longer."""
    told = place.issue()
    before = refused_by_the_gateway(place)
    place.do("cert.hold", which=told["serial"])
    held = refused_by_the_gateway(place)
    place.do("cert.release", which=told["serial"])
    assert (before, held, refused_by_the_gateway(place)) == (
        ({}, set()),
        ({told["serial"]: "certificateHold"}, {told["fingerprint"]}),
        ({}, set()),
    )


def test_revoke_is_on_the_list_for_good(place: Place) -> None:
    """With the reason that was given."""
    told = place.issue()
    place.do("cert.revoke", which=told["serial"], reason="key_compromise")
    assert refused_by_the_gateway(place) == ({told["serial"]: "keyCompromise"}, {told["fingerprint"]})


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        (["hold"], "held"),
        (["hold", "release"], "issued"),
        (["revoke"], "revoked"),
        (["hold", "revoke"], "revoked"),
    ],
    ids=" ".join,
)
def test_the_second_time_nothing_changes(place: Place, steps: list[str], state: str) -> None:
    """Each of them said twice is done once: no event is written, and that is told."""
    which = place.issue()["serial"]
    more: dict[str, dict[str, object]] = {"revoke": {"reason": "unspecified"}}
    changed = []
    for step in (*steps, steps[-1]):
        told = place.do(f"cert.{step}", which=which, **more.get(step, {}))
        changed.append(told["changed"])
    assert (changed, told["state"]) == ([True] * len(steps) + [False], state)
    kinds = [event["kind"] for event in place.do("cert.show", which=which)["events"]]
    assert len(kinds) == 2 + len(steps)


def test_the_first_reason_stays(place: Place) -> None:
    """Revoked again for another reason, it keeps the one it was revoked for."""
    which = place.issue()["serial"]
    place.do("cert.revoke", which=which, reason="key_compromise")
    assert place.do("cert.revoke", which=which, reason="superseded")["reason"] == "keyCompromise"


@pytest.mark.parametrize(
    ("first", "then", "code"),
    [
        ("revoke", "hold", Code.CERTIFICATE_REVOKED),
        ("revoke", "release", Code.CERTIFICATE_REVOKED),
        (None, "release", Code.CERTIFICATE_NOT_HELD),
    ],
    ids=["hold revoked", "release revoked", "release issued"],
)
def test_what_makes_no_sense_is_refused(place: Place, first: str | None, then: str, code: Code) -> None:
    """Revoked is for good, and only what is on hold is released."""
    which = place.issue()["serial"]
    if first is not None:
        place.do(f"cert.{first}", which=which, reason="unspecified")
    assert place.refused(f"cert.{then}", which=which).code is code


@pytest.mark.parametrize("verb", ["revoke", "hold"])
def test_the_certificate_of_an_authority_is_not_revoked_by_hand(place: Place, verb: str) -> None:
    """ROTATION_NONE: it would cut everybody off at once; it is rotated first."""
    place.issue()
    (issuing,) = place.found(profile="issuing")
    more = {"reason": "unspecified"} if verb == "revoke" else {}
    assert place.refused(f"cert.{verb}", which=issuing["serial"], **more).code is Code.ROTATION_NONE


def test_a_compromised_key_is_told_wherever_it_still_is_good(place: Place) -> None:
    """Whoever has the key has all its certificates; for another reason nothing is told."""
    csr = a_request()
    first, second, third = (place.issue(csr, name=name) for name in ("alice", "alice", "bob"))
    assert place.do("cert.revoke", which=first["serial"], reason="superseded")["same_key"] == []
    told = place.do("cert.revoke", which=second["serial"], reason="key_compromise")
    assert told["same_key"] == [third["serial"]]


def test_a_revoked_key_is_not_certified_again(place: Place) -> None:
    """REQUEST_KEY_BARRED, for whatever name."""
    csr = a_request()
    told = place.issue(csr, name="alice")
    place.do("cert.revoke", which=told["serial"], reason="key_compromise")
    assert place.not_issued(csr, name="bob").code is Code.REQUEST_KEY_BARRED


# Renewal


@pytest.mark.parametrize("same_key", [True, False], ids=["same key", "new key"])
def test_renewed_it_has_the_same_names_and_profile(place: Place, same_key: bool) -> None:
    """And the key of the request, while the old one stays valid."""
    csr = a_request()
    old = place.issue(csr, profile="server", name=None, dns=["a.example.org"], ips=["192.0.2.1"])
    new = place.do("cert.renew", **renew(old["serial"], csr if same_key else None))
    assert [new[key] for key in ("dns", "ips", "profile", "identity")] == [
        ["a.example.org"],
        ["192.0.2.1"],
        "server",
        None,
    ]
    assert (new["spki_sha256"] == old["spki_sha256"]) is same_key
    assert {one["state"] for one in place.found(profile="server")} == {"issued"}


def test_superseded_the_old_one_is_revoked(place: Place) -> None:
    """For that reason, once the new one is there; its key may be the same."""
    csr = a_request()
    old = place.issue(csr, name="alice")
    new = place.do("cert.renew", **renew(old["serial"], csr, supersede=True))
    states = {one["serial"]: (one["state"], one.get("reason")) for one in place.found(profile="client")}
    assert states == {old["serial"]: ("revoked", "superseded"), new["serial"]: ("issued", None)}


@pytest.mark.parametrize("verb", ["revoke", "hold"])
def test_what_is_not_good_is_not_renewed(place: Place, verb: str) -> None:
    """REQUEST_IDENTITY_REVOKED: renewing is no way back."""
    which = place.issue()["serial"]
    place.do(f"cert.{verb}", which=which, **({"reason": "unspecified"} if verb == "revoke" else {}))
    assert place.refused("cert.renew", **renew(which)).code is Code.REQUEST_IDENTITY_REVOKED


# The inventory


@pytest.fixture
def foreign(place: Place) -> bytes:
    """The DER of a certificate that another authority issued."""
    other = type(place)(
        type(place.state)(place.state.path.parent / "other"), place.text.replace("example.org", "else.org")
    )
    told = other.issue(profile="server", name=None, dns=["shop.else.org"])
    return load_chain(told["chain"].encode())[0].public_bytes(Encoding.DER)


@pytest.mark.parametrize("form", ["DER", "PEM"])
def test_a_foreign_certificate_is_found_once_taken_in(place: Place, foreign: bytes, form: str) -> None:
    """By its names, as of the profile external; the second time it is known."""
    data = foreign
    if form == "PEM":
        data = x509.load_der_x509_certificate(foreign).public_bytes(Encoding.PEM)
    told = [place.do("cert.import", files=[data.hex()]) for _ in range(2)]
    assert told == [{"added": 1, "known": 0}, {"added": 0, "known": 1}]
    (found,) = place.found(contains="shop.else")
    assert (found["profile"], found["dns"], found["state"]) == ("external", ["shop.else.org"], "issued")


@pytest.mark.parametrize(
    ("operation", "more", "code"),
    [
        ("cert.revoke", {"reason": "unspecified"}, Code.AUTHORITY_UNKNOWN),
        ("cert.hold", {}, Code.AUTHORITY_UNKNOWN),
        ("cert.renew", {"csr": a_request(), "seconds": None, "supersede": False}, Code.REQUEST_PROFILE_UNKNOWN),
    ],
    ids=["revoke", "hold", "renew"],
)
def test_a_foreign_certificate_is_not_ours_to_change(
    place: Place, foreign: bytes, operation: str, more: dict[str, object], code: Code
) -> None:
    """Whoever issued it does that."""
    place.do("cert.import", files=[foreign.hex()])
    (found,) = place.found(profile="external")
    assert place.refused(operation, which=found["serial"], **more).code is code


@pytest.mark.parametrize("data", [b"", b"hello", b"\x30\x03\x02\x01\x01"], ids=["empty", "text", "DER"])
def test_what_is_no_certificate_is_not_taken_in(place: Place, data: bytes) -> None:
    """FILE_UNRECOGNIZED."""
    assert place.refused("cert.import", files=[data.hex()]).code is Code.FILE_UNRECOGNIZED


# Bad requests


@pytest.mark.parametrize(
    ("csr", "code"),
    [
        ("", Code.REQUEST_MALFORMED),
        ("hello", Code.REQUEST_MALFORMED),
        ("\xff\x00", Code.REQUEST_MALFORMED),
        (a_request() * 2, Code.REQUEST_MALFORMED),
        (a_request(kind=KeyType.EC_P256).replace("A", "B", 30), Code.REQUEST_MALFORMED),
    ],
    ids=["empty", "text", "bytes", "two", "changed"],
)
def test_what_is_no_request_is_refused(place: Place, csr: str, code: Code) -> None:
    """With a code, and not with a trace."""
    assert place.not_issued(csr or "\n", name="alice").code is code


def test_an_address_that_is_none_is_refused(place: Place) -> None:
    """With the option and what is allowed."""
    invalid = place.invalid("cert.issue", **place.asking(profile="server", name=None, ips=["10.0.0"]))
    assert (invalid.path, invalid.allowed) == ("--ip", "an IP address, as in 192.0.2.1 or 2001:db8::1")


@pytest.mark.parametrize("operation", ["revoke", "hold", "release", "renew"])
def test_the_gateway_is_told_before_the_answer(place: Place, operation: str) -> None:
    """Also where nothing is new: an earlier push may have failed after its commit."""
    from handclasp.app import certificates

    key = generate(KeyType.EC_P256)
    which = place.issue(a_request(key=key), name="alice")["serial"]
    if operation == "release":
        place.do("cert.hold", which=which)
    told = 0

    async def push() -> float:
        nonlocal told
        told += 1
        return 0.01

    async def scenario(site: Site) -> int:
        site.apply = push
        if operation == "revoke":
            await certificates.revoke(site, which=which, reason="unspecified")
            await certificates.revoke(site, which=which, reason="unspecified")
        elif operation == "renew":
            await certificates.renew(site, **renew(which, a_request(key=key), supersede=True))
        else:
            verb = certificates.put_on_hold if operation == "hold" else certificates.let_go
            await verb(site, which=which)
            await verb(site, which=which)
        return told

    assert place.with_site(scenario) == (1 if operation == "renew" else 2)
