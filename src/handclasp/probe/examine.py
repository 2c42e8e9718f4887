"""The examination of one endpoint: which connections are made, in which order, and what follows from them.

1. One connection without a certificate, read first; it answers almost everything.
2. Where it broke off before the server's certificate was seen, once more with less in the hello (without ALPN, without
   a server name, TLS 1.2 alone, no hybrid group): what helps is told, and the rest can be seen.
3. Where it ended after our empty Certificate without a word, once more: the alert may have been lost.
4. With a credential, one connection that shows it, after the server was verified with this very chain.

``Examination`` decides and does no I/O; ``examine`` drives it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, Protocol

from handclasp.findings import Code
from handclasp.probe import served
from handclasp.probe.credentials import Credential
from handclasp.probe.crls import Fetched, RevocationLists
from handclasp.probe.evidence import Attempt, Evidence, Request
from handclasp.probe.report import Report
from handclasp.probe.target import DIRECT, Route, Target
from handclasp.probe.trust import Verifier
from handclasp.probe.verdict import AGAIN, CREDENTIAL, verdict
from handclasp.tlswire.offer import (
    CLASSICAL,
    FALLBACK_SCSV,
    OLD_CIPHERS,
    SAFE_CIPHERS,
    TLS12,
    TLS13,
    TLS13_CIPHERS,
    X25519,
    X25519MLKEM768,
    ClientCredential,
    Offer,
)
from handclasp.tlswire.seen import Seen, Step

_MOST_ATTEMPTS: Final = 4
_SPECULATIVE_PATIENCE: Final = 2.0  # seconds for an answer over HTTP where nobody said that HTTP is spoken
_NO_APPLICATION_PROTOCOL, _UNRECOGNIZED_NAME = 120, 112

_NOT_HTTP_PORTS: Final = frozenset({25, 110, 143, 389, 465, 563, 587, 636, 853, 989, 990, 992, 993, 994, 995})
_NOT_HTTP_PORTS_TOO: Final = frozenset({3269, 3306, 5061, 5222, 5223, 5269, 5432, 5671, 6379, 6514, 8883, 9093, 27017})


class Attempts(Protocol):
    """What makes connections: ``probe.loop.Driver``."""

    async def attempt(self, attempt: Attempt) -> Evidence:
        """Make it; always ends by its deadline."""


@dataclass(frozen=True, slots=True)
class Options:
    """How an endpoint is examined.

    ``deadline`` is for all of it, in seconds. ``hybrid`` offers X25519MLKEM768 too. ``http`` says when something is
    asked over HTTP: never; if_asked for a certificate, without a word to its absence; or always (servers that ask for a
    certificate later show it then). A target that is a URL is always asked, unless never. ``request`` is what is asked
    instead of ``GET path``. ``credential`` is shown to the server in a connection of its own, the only one with
    ``only_credential``; ``show_unverified`` shows it whoever the server is, which is right for a throwaway alone.
    """

    route: Route = DIRECT
    versions: tuple[int, ...] = (TLS13, TLS12)
    deadline: float = 10.0
    listen: float = 0.3
    hybrid: bool = False
    http: Literal["never", "if_asked", "always"] = "if_asked"
    request: Request | None = None
    credential: Credential | None = None
    only_credential: bool = False
    show_unverified: bool = False
    trace: bool = False


class Examination:
    """One target. ``first`` and ``after`` say which connection is to be made next; ``report`` says what it all
    means."""

    def __init__(self, target: Target, options: Options, verifier: Verifier, at: datetime) -> None:
        self.target = target
        self.options = options
        self._verifier = verifier
        self._at = at
        self._attempts: list[tuple[str, Attempt, Evidence]] = []
        self._next = ("plain", self._plain())
        if options.credential is not None and options.only_credential:
            self._next = (CREDENTIAL, self._with_credential(self._next[1], options.credential))
        self._spent = 0.0
        self._withheld: tuple[str, ...] = ()

    def first(self) -> Attempt:
        """The first connection."""
        return self._next[1]

    def after(self, evidence: Evidence) -> Attempt | None:
        """What is to be done next; None: nothing, the report can be made."""
        name, attempt = self._next
        self._attempts.append((name, attempt, evidence))
        self._spent += evidence.timings.ended
        left = self.options.deadline - self._spent
        following = self._following(evidence) if left > 0.05 else None
        if following is None:
            return None
        self._next = (following[0], replace(following[1], deadline=left))
        return self._next[1]

    def heed(self, fetched: Fetched) -> None:
        """From now on servers are verified with these lists too."""
        self._verifier = self._verifier.with_crls(fetched.crls)

    def report(self, fetched: Fetched | None = None) -> Report:
        """What was found; with the revocation lists that were ``fetched`` for its chain."""
        return verdict(
            self.target,
            [(name, evidence) for name, _, evidence in self._attempts],
            self._verifier,
            self._at,
            credential=self.options.credential,
            withheld=self._withheld,
            fetched=fetched,
        )

    def _plain(self) -> Attempt:
        options, target = self.options, self.target
        groups: tuple[int, ...] = CLASSICAL
        shares: tuple[int, ...] = (X25519,)
        if options.hybrid and TLS13 in options.versions:
            groups, shares = (X25519MLKEM768, *CLASSICAL), (X25519MLKEM768, X25519)
        offer = Offer(
            server_name=_sni(target),
            versions=options.versions,
            groups=groups,
            shares=shares,
            alpn=("http/1.1",) if _may_be_http(target) else (),
        )
        known = target.http is not None or options.request is not None
        asks = options.http != "never" and _may_be_http(target)
        return Attempt(
            target,
            offer,
            route=options.route,
            deadline=options.deadline,
            listen=options.listen,
            request=_request(target, options) if asks else None,
            request_if_asked=not known and options.http != "always",
            patience=None if known else _SPECULATIVE_PATIENCE,
            trace=options.trace,
        )

    def _following(self, evidence: Evidence) -> tuple[str, Attempt] | None:
        name, attempt = self._next
        if name == CREDENTIAL:
            return None
        if len(self._attempts) < _MOST_ATTEMPTS:
            less = self._with_less(attempt, evidence)
            if less is not None:
                return less
        if self.options.credential is not None and evidence.seen.chain:
            return CREDENTIAL, self._with_credential(attempt, self.options.credential)
        return None

    def _with_less(self, attempt: Attempt, evidence: Evidence) -> tuple[str, Attempt] | None:
        """The same with less in the hello, or once more."""
        seen, tried = evidence.seen, {name for name, _, _ in self._attempts}
        if seen.chain:
            silent = seen.request is not None and seen.proved and not seen.alerts and not seen.tickets
            lost = silent and evidence.response is None and (seen.closed or evidence.failure is not None)
            if lost and not _timed_out(evidence) and AGAIN not in tried:
                return AGAIN, attempt
            return None
        if not _about_the_hello(evidence):
            return None
        number = seen.alerts[0].number if seen.alerts else None
        offer = attempt.offer
        if number == _NO_APPLICATION_PROTOCOL and offer.alpn:
            return "without ALPN", replace(attempt, offer=replace(offer, alpn=()))
        if number == _UNRECOGNIZED_NAME and offer.server_name is not None:
            return "without a server name", replace(attempt, offer=replace(offer, server_name=None))
        if X25519MLKEM768 in offer.groups:
            return "without a hybrid group", replace(attempt, offer=replace(offer, groups=CLASSICAL, shares=(X25519,)))
        if offer.versions == (TLS13, TLS12) and "TLS 1.2 alone" not in tried:
            return "TLS 1.2 alone", replace(attempt, offer=replace(offer, versions=(TLS12,)))
        return None

    def _with_credential(self, attempt: Attempt, credential: Credential) -> Attempt:
        ciphers = tuple(one for one in attempt.offer.ciphers if one not in OLD_CIPHERS) or TLS13_CIPHERS + SAFE_CIPHERS
        if TLS13 in self.options.versions and TLS13 not in attempt.offer.versions:
            # Whoever broke off the hello with TLS 1.3 may sit on the way, to see the certificate in clear.
            ciphers = (*ciphers, FALLBACK_SCSV)
        offer = replace(attempt.offer, ciphers=ciphers)

        def show(seen: Seen) -> ClientCredential | None:
            if self.options.show_unverified:
                return credential.client()
            # The server first proves who it is, by this chain, on this connection.
            judgement = self._verifier.judge(seen.chain, self.target.name or None, self._at)
            if not judgement.trusted_by:
                self._withheld = tuple(one.what for one in judgement.findings)
                return None
            return credential.client()

        return replace(attempt, offer=offer, request_if_asked=False, credential=show)


async def examine(
    driver: Attempts,
    target: Target,
    verifier: Verifier,
    options: Options,
    now: Callable[[], datetime],
    lists: RevocationLists | None = None,
) -> Report:
    """Examine one endpoint; ends by the deadline of the options, and a few seconds later where ``lists`` fetches."""
    examination = Examination(target, options, verifier, now())
    attempt: Attempt | None = examination.first()
    fetched: Fetched | None = None
    while attempt is not None:
        evidence = await driver.attempt(attempt)
        if lists is not None and evidence.seen.chain and fetched is None:
            # Before a credential is shown: to a server that is revoked it is not.
            fetched = await lists.of([served.read(der) for der in evidence.seen.chain])
            examination.heed(fetched)
        attempt = examination.after(evidence)
    return examination.report(fetched)


def _sni(target: Target) -> str | None:
    """The host name to send; an address is never sent (RFC 6066 §3)."""
    name = target.name
    if not name or ":" in name or name.replace(".", "").isdigit():
        return None
    return name


def _may_be_http(target: Target) -> bool:
    if target.http is not None:
        return True
    if target.starttls is not None:
        return False
    return target.port not in _NOT_HTTP_PORTS and target.port not in _NOT_HTTP_PORTS_TOO


def _request(target: Target, options: Options) -> Request:
    if options.request is not None:
        return options.request
    return Request("GET", target.http or "/", ())


def _about_the_hello(evidence: Evidence) -> bool:
    """Whether it broke off at our hello, so that another one may do better."""
    failure, seen = evidence.failure, evidence.seen
    if seen.fault is not None and seen.fault.code in {Code.PROTO_NOT_TLS, Code.PROTO_TLS_TO_PLAIN}:
        return False
    if seen.alerts:
        return seen.alerts[0].step in {Step.CLIENT_HELLO, Step.SERVER_FLIGHT}
    return failure is not None and failure.phase == "handshake" and not _timed_out(evidence)


def _timed_out(evidence: Evidence) -> bool:
    return evidence.failure is not None and evidence.failure.code is Code.NET_HANDSHAKE_TIMEOUT
