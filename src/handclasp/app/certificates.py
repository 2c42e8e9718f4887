"""Certificates of every profile, one by one. Each verb is one operation of ``control``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.app import ambient
from handclasp.app.naming import identity_named
from handclasp.app.site import Site
from handclasp.authority import approval, inventory
from handclasp.authority.issue import Issued, issue
from handclasp.authority.policy import OPERATOR
from handclasp.authority.records import CertificateRecord, CertificateState, PendingRequest, RequestState, Search
from handclasp.authority.renew import renew_certificate
from handclasp.authority.revoke import find, hold, release, revoke_certificate
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki import containers, pem, request, wishes
from handclasp.pki.issue import Names
from handclasp.pki.keys import ML_DSA, key_type
from handclasp.pki.names import dns_name
from handclasp.pki.profile import CLIENT, Profile
from handclasp.pki.request import Request
from handclasp.pki.spiffe import SpiffeID

Json = dict[str, object]

REASONS = {
    "unspecified": x509.ReasonFlags.unspecified,
    "key_compromise": x509.ReasonFlags.key_compromise,
    "affiliation_changed": x509.ReasonFlags.affiliation_changed,
    "superseded": x509.ReasonFlags.superseded,
    "cessation_of_operation": x509.ReasonFlags.cessation_of_operation,
}
"""The reasons a person may give (RFC 5280 §5.3.1), as the command line spells them."""

SHORTEST_PART = 3
"""Characters of a name that can be looked for: its index has no shorter parts."""

_CURSOR = re.compile(r"[0-9]{1,18}")


async def make(
    site: Site,
    *,
    csr: str,
    profile: str,
    name: str | None,
    dns: list[str],
    ips: list[str],
    seconds: float | None,
    request_id: str | None,
) -> Json:
    """A certificate of a profile. Where the profile wants approval: ``{"pending": id}``, and the request is kept."""
    asked = request.parse(csr.encode("latin-1"))
    chosen = profile_named(site, profile)
    names = _names(site, name, dns, ips) if name or dns or ips else wishes.granted(chosen, asked.wishes)
    check_verifiable(site, asked, names.spiffe_id)
    lifetime = _lifetime(site, chosen, seconds)
    if chosen.approval:
        waiting = await approval.submit(
            site.authority,
            asked,
            names,
            chosen,
            OPERATOR,
            id=request_id or ambient.new_id(),
            now=ambient.now(),
            lifetime=lifetime,
        )
        if waiting.state is RequestState.PENDING:
            return {"pending": waiting.id, "profile": profile}
        return await approve(site, id=waiting.id)
    issued = await issue(
        site.authority,
        asked,
        names,
        chosen,
        OPERATOR,
        now=ambient.now(),
        serial=ambient.new_serial(),
        lifetime=lifetime,
        request_id=request_id,
    )
    return granted(site, issued)


async def search(
    site: Site,
    *,
    contains: str | None,
    prefix: str | None,
    identity: str | None,
    serial: str | None,
    fingerprint: str | None,
    key: str | None,
    profile: str | None,
    state: str | None,
    issuer: str | None,
    expires_within: float | None,
    limit: int,
    after: str | None,
) -> Json:
    """A page of what was ever issued here, newest first."""
    now = ambient.now()
    trust_domain = site.authority.hierarchy.trust_domain
    if contains is not None and len(contains) < SHORTEST_PART:
        raise InvalidSetting("", f"{contains!r} is too short to look for", f"{SHORTEST_PART} characters or more")
    if after is not None and not _CURSOR.fullmatch(after):
        raise InvalidSetting("--after", f"{after!r} is no place in a list", "what the page before ended with")
    page = await site.authority.ledger.search(
        Search(
            identity=None if identity is None else str(identity_named(trust_domain, identity)),
            name_contains=contains,
            name_prefix=prefix,
            serial=None if serial is None else _number(serial),
            fingerprint=None if fingerprint is None else _digits(fingerprint),
            spki_sha256=None if key is None else _digits(key),
            profile=profile,
            state=None if state is None else CertificateState(state),
            issuer_key_id=None if issuer is None else _issuer(site, issuer),
            expires_before=None if expires_within is None else now + timedelta(seconds=expires_within),
            expires_after=None if expires_within is None else now,
            limit=limit,
            after=after,
        )
    )
    return {"certificates": [summary(record, now) for record in page.records], "after": page.cursor}


async def show(site: Site, *, which: str) -> Json:
    """One certificate, with what happened to it."""
    record = await find(site.authority, which)
    serial = f"{record.serial:x}"
    events = await site.authority.ledger.events(subject=record.identity or record.subject or None)
    return {
        **summary(record, ambient.now()),
        "pem": x509.load_der_x509_certificate(record.der).public_bytes(Encoding.PEM).decode() if record.der else "",
        "events": [
            {"at": e.event.at.isoformat(timespec="seconds"), "kind": e.event.kind, "by": e.event.data.get("by", "")}
            for e in events
            if e.event.data.get("serial") == serial
        ],
    }


async def renew(site: Site, *, which: str, csr: str, seconds: float | None, supersede: bool) -> Json:
    """The same names and profile again, for the old key or a new one."""
    old = await find(site.authority, which)
    chosen = profile_named(site, old.profile)
    asked = request.parse(csr.encode("latin-1"))
    check_verifiable(site, asked, None if old.identity is None else SpiffeID.parse(old.identity))
    issued = await renew_certificate(
        site.authority,
        old,
        now=ambient.now(),
        serial=ambient.new_serial(),
        request=asked,
        lifetime=_lifetime(site, chosen, seconds),
        profile=chosen,
        supersede=supersede,
    )
    if supersede:
        await site.apply()
    return granted(site, issued)


async def revoke(site: Site, *, which: str, reason: str) -> Json:
    """Revoke one certificate for good."""
    before = await find(site.authority, which)
    after = await revoke_certificate(
        site.authority, before.issuer_key_id, before.serial, now=ambient.now(), reason=REASONS[reason]
    )
    return {**await _changed(site, before, after), "same_key": await _same_key(site, after)}


async def _same_key(site: Site, revoked: CertificateRecord) -> list[str]:
    """The serials of what is still good for the same key, where that key is what was wrong with it."""
    if revoked.reason != REASONS["key_compromise"].value:
        return []
    now = ambient.now()
    found = await site.authority.ledger.search(Search(spki_sha256=revoked.spki_sha256, expires_after=now))
    return [f"{one.serial:x}" for one in found.records if one.state is not CertificateState.REVOKED]


async def put_on_hold(site: Site, *, which: str) -> Json:
    """Refuse one certificate until it is released."""
    before = await find(site.authority, which)
    after = await hold(site.authority, before.issuer_key_id, before.serial, now=ambient.now())
    return await _changed(site, before, after)


async def let_go(site: Site, *, which: str) -> Json:
    """Accept one certificate again that is on hold."""
    before = await find(site.authority, which)
    after = await release(site.authority, before.issuer_key_id, before.serial, now=ambient.now())
    return await _changed(site, before, after)


async def _changed(site: Site, before: CertificateRecord, after: CertificateRecord) -> Json:
    # Told again even when nothing is new: an earlier push may have failed after its commit.
    seconds = await site.apply()
    return {
        **summary(after, ambient.now()),
        "changed": before.state is not after.state,
        "gateway_seconds": seconds,
    }


async def requests(site: Site, *, all: bool) -> Json:
    """The requests that wait for approval, or all there ever were."""
    found = await site.authority.ledger.pending_requests(None if all else RequestState.PENDING)
    return {"requests": [_request(one) for one in found]}


async def approve(site: Site, *, id: str) -> Json:
    """Approve a request, and issue its certificate; the same certificate the second time."""
    waiting = await site.authority.ledger.pending_request(id)
    if waiting is None:
        raise Refused(
            Code.CERTIFICATE_UNKNOWN,
            f"There is no request {id}",
            "none was kept under this id",
            "See the requests: handclasp cert requests.",
        )
    # The rules may have changed while it waited.
    check_verifiable(site, request.parse(waiting.csr), approval.names_of(waiting).spiffe_id)
    issued = await approval.approve(
        site.authority,
        id,
        profile_named(site, waiting.profile),
        by=OPERATOR,
        now=ambient.now(),
        serial=ambient.new_serial(),
    )
    return granted(site, issued)


async def deny(site: Site, *, id: str) -> Json:
    """Deny a request for good."""
    return _request(await approval.deny(site.authority, id, by=OPERATOR, now=ambient.now()))


async def take(site: Site, *, files: list[str]) -> Json:
    """Certificates that others issued, into the inventory."""
    found = [one for file in files for one in containers.read(bytes.fromhex(file)).certificates]
    if not found:
        raise Refused(
            Code.FILE_UNRECOGNIZED,
            "Nothing was taken into the inventory",
            "there is no certificate in what was given",
            "Give certificates in PEM, DER or PKCS#7.",
        )
    taken = [await inventory.take(site.authority.ledger, one.certificate, now=ambient.now()) for one in found]
    return {"added": len(taken) - taken.count(None), "known": taken.count(None)}


def granted(site: Site, issued: Issued) -> Json:
    """What the holder of the key needs: its chain, the trust bundle, and until when they hold."""
    return {
        **summary(issued.record, ambient.now()),
        "chain": pem.pem(*issued.chain).decode(),
        "bundle": pem.pem(*site.authority.hierarchy.roots).decode(),
    }


def profile_named(site: Site, name: str) -> Profile:
    """A built-in profile or one of the settings. Refused(REQUEST_PROFILE_UNKNOWN)."""
    given = {p.name: p for p in site.settings.profiles.values() if not (p.is_ca or p.ocsp_no_check)}
    found = given.get(name)
    if found is None:
        known = ", ".join(sorted(given))
        own = name in site.settings.profiles
        raise Refused(
            Code.REQUEST_PROFILE_UNKNOWN,
            f"There is no profile {name} for this",
            "Handclasp makes those itself (handclasp ca)" if own else "no setting and no built-in has it",
            f"Use one of these: {known}.",
        )
    return found


def check_verifiable(site: Site, asked: Request, identity: SpiffeID | None) -> None:
    """Refused(REQUEST_KEY_NOT_VERIFIABLE) if a service here lets this identity in and cannot verify its key.

    Envoy's TLS library does not know ML-DSA: such a caller would fail in the handshake, without an explanation.
    """
    signer = key_type(site.authority.hierarchy.clients.certificate.public_key())
    kind = next((one for one in (asked.key_type, signer) if one in ML_DSA), None)
    if identity is None or kind is None:
        return
    services = [
        service.name
        for service in site.settings.services
        if service.client_certificates == "required" and any(rule.names(identity) for rule in service.policy.rules)
    ]
    if services:
        raise Refused(
            Code.REQUEST_KEY_NOT_VERIFIABLE,
            f"{identity} cannot have a certificate {'by' if signer in ML_DSA else 'for'} a key of the kind {kind}",
            f"the gateway of {', '.join(services)} cannot verify that kind, and its rules let this identity in",
            "Use ec-p256 for it; or take the identity out of the rules of that service.",
        )


def summary(record: CertificateRecord, now: datetime) -> Json:
    """One certificate in short. ``state``: intended, issued, held or revoked; ``expired`` says the rest."""
    return {
        "identity": record.identity,
        "dns": list(record.dns),
        "ips": list(record.ips),
        "subject": record.subject,
        "profile": record.profile,
        "state": record.state.value,
        "expired": record.not_after <= now,
        "serial": f"{record.serial:x}",
        "issuer": record.issuer_key_id,
        "fingerprint": record.fingerprint,
        "spki_sha256": record.spki_sha256,
        "issued_at": record.issued_at.isoformat(timespec="seconds"),
        "not_after": record.not_after.isoformat(timespec="seconds"),
        "days_left": round((record.not_after - now) / timedelta(days=1), 2),
        **({"reason": record.reason} if record.reason else {}),
        **({"revoked_at": record.revoked_at.isoformat(timespec="seconds")} if record.revoked_at else {}),
    }


def _request(one: PendingRequest) -> Json:
    return {
        "id": one.id,
        "state": one.state.value,
        "profile": one.profile,
        "identity": one.identity,
        "dns": list(one.dns),
        "ips": list(one.ips),
        "subject": "",
        "at": one.at.isoformat(timespec="seconds"),
        "asked_by": one.principal,
        "decided_by": one.decided_by,
    }


def _names(site: Site, name: str | None, dns: list[str], ips: list[str]) -> Names:
    identity = None if name is None else identity_named(site.authority.hierarchy.trust_domain, name)
    try:
        addresses = tuple(ip_address(text) for text in ips)
    except ValueError as error:
        raise InvalidSetting("--ip", str(error), "an IP address, as in 192.0.2.1 or 2001:db8::1") from None
    return Names(identity, tuple(dns_name(text) for text in dns), addresses)


def _lifetime(site: Site, chosen: Profile, seconds: float | None) -> timedelta | None:
    """What is asked for; else what the settings say of callers, or (None) the profile."""
    if seconds is not None:
        return timedelta(seconds=seconds)
    return site.settings.lifetimes.client if chosen.name == CLIENT.name else None


def _digits(text: str) -> str:
    return text.replace(":", "").lower()


def _number(text: str) -> int:
    try:
        return int(_digits(text), 16)
    except ValueError:
        raise InvalidSetting("--serial", f"{text!r} is no serial number", "hexadecimal digits") from None


def _issuer(site: Site, text: str) -> str:
    named = {one.name: one.key_id for one in (*site.authority.hierarchy.anchors, *site.authority.hierarchy.issuers)}
    return named.get(text, _digits(text))
