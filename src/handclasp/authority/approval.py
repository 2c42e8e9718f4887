"""Requests whose profile wants somebody's approval: kept, then approved, which issues, or denied.

Approved twice is approved once: the certificate is found by the request's id.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address

from handclasp.authority import policy
from handclasp.authority.issue import Authority, Issued, issue
from handclasp.authority.records import Event, PendingRequest, RequestState
from handclasp.findings import Code, Refused
from handclasp.pki.issue import Names
from handclasp.pki.profile import Profile
from handclasp.pki.request import Request, parse
from handclasp.pki.spiffe import SpiffeID
from handclasp.pki.wishes import check_names, granted


async def submit(
    authority: Authority,
    request: Request,
    names: Names | None,
    profile: Profile,
    principal: str,
    *,
    id: str,
    now: datetime,
    lifetime: timedelta | None = None,
) -> PendingRequest:
    """Keep the request under ``id``, as it then stands in the ledger: the same id and request again changes nothing.

    ``names`` None are those that the request wishes. Refused: what could never be approved (REQUEST_NAME_NOT_ALLOWED
    and the like), REQUEST_REPEATED if the id belongs to another request.
    """
    if names is None:
        names = granted(profile, request.wishes)
    policy.check(names, profile, principal, authority.hierarchy.trust_domain)
    check_names(profile, names)
    asked = PendingRequest(
        id=id,
        profile=profile.name,
        csr=request.der,
        identity=None if names.spiffe_id is None else str(names.spiffe_id),
        dns=names.dns,
        ips=tuple(str(address) for address in names.ips),
        lifetime_seconds=None if lifetime is None else round(lifetime / timedelta(seconds=1)),
        principal=principal,
        at=now,
    )
    if await authority.ledger.pending_request(id) is None:
        await authority.ledger.add_request(asked, _event("request.submitted", asked, now, principal))
    kept = await authority.ledger.pending_request(id)
    assert kept is not None
    if (kept.profile, kept.csr, kept.identity, kept.dns, kept.ips, kept.lifetime_seconds) != (
        asked.profile,
        asked.csr,
        asked.identity,
        asked.dns,
        asked.ips,
        asked.lifetime_seconds,
    ):
        raise Refused(
            Code.REQUEST_REPEATED,
            f"The request id {id} was used before",
            "another request is kept under it",
            "Use a new id for every request.",
        )
    return kept


async def approve(authority: Authority, id: str, profile: Profile, *, by: str, now: datetime, serial: int) -> Issued:
    """Approve the request and issue its certificate; ``profile`` is the one that the request names.

    Refused: CERTIFICATE_UNKNOWN, REQUEST_DENIED if it was denied, and what ``issue`` refuses: then it stays approved
    and can be tried again.
    """
    found = await _find(authority, id)
    if profile.name != found.profile:
        raise ValueError(f"the request {id} is for the profile {found.profile}, not {profile}")
    if found.state is RequestState.PENDING:
        decided = await authority.ledger.decide_request(
            id,
            allowed_from=frozenset({RequestState.PENDING}),
            to=RequestState.APPROVED,
            by=by,
            event=_event("request.approved", found, now, by),
        )
        found = decided or await _find(authority, id)
    if found.state is RequestState.DENIED:
        raise _denied(found)
    return await issue(
        authority,
        parse(found.csr),
        names_of(found),
        profile,
        found.principal,
        now=now,
        serial=serial,
        lifetime=None if found.lifetime_seconds is None else timedelta(seconds=found.lifetime_seconds),
        request_id=id,
        approved=True,
    )


async def deny(authority: Authority, id: str, *, by: str, now: datetime) -> PendingRequest:
    """Deny the request; returns it as it is afterwards. Refused: CERTIFICATE_UNKNOWN, REQUEST_REPEATED if it was
    approved: then its certificate is to be revoked."""
    found = await _find(authority, id)
    if found.state is RequestState.PENDING:
        decided = await authority.ledger.decide_request(
            id,
            allowed_from=frozenset({RequestState.PENDING}),
            to=RequestState.DENIED,
            by=by,
            event=_event("request.denied", found, now, by),
        )
        found = decided or await _find(authority, id)
    if found.state is RequestState.APPROVED:
        raise Refused(
            Code.REQUEST_REPEATED,
            f"The request {id} cannot be denied",
            f"{found.decided_by} has approved it",
            "Revoke its certificate: handclasp cert revoke SERIAL.",
        )
    return found


def names_of(request: PendingRequest) -> Names:
    """The names that a kept request is for."""
    return Names(
        None if request.identity is None else SpiffeID.parse(request.identity),
        request.dns,
        tuple(ip_address(text) for text in request.ips),
    )


async def _find(authority: Authority, id: str) -> PendingRequest:
    found = await authority.ledger.pending_request(id)
    if found is None:
        raise Refused(
            Code.CERTIFICATE_UNKNOWN,
            f"There is no request {id}",
            "none was submitted under this id",
            "See the requests: handclasp cert requests.",
        )
    return found


def _denied(request: PendingRequest) -> Refused:
    return Refused(
        Code.REQUEST_DENIED,
        f"The request {request.id} is denied",
        f"{request.decided_by} has denied it",
        "Talk to them; a new request needs a new id.",
    )


def _event(kind: str, request: PendingRequest, now: datetime, by: str) -> Event:
    data = {"by": by, "request_id": request.id, "profile": request.profile, "asked_by": request.principal}
    if hosts := " ".join((*request.dns, *request.ips)):
        data["hosts"] = hosts
    return Event(now, kind, request.identity or hosts or request.id, data)
