"""The examination of an endpoint: what is looked at, in which order. Everything is judged in ``rules``.

1. The client's files, without a network.
2. One examination without a certificate (``probe.examine``): it reads before it writes, so that it sees the refusal.
3. Where the server broke off the hello, hellos that differ in one thing: versions, ciphers, groups.
4. With a certificate, a second examination that shows it; only to a server that has proved who it is.
5. The client's chain, judged by the server's authorities and revocation lists where they were given, and replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.doctor.diagnosis import Ailment, Diagnosis, Proof, Severity, Side
from handclasp.doctor.files.gather import Gathered, gather
from handclasp.doctor.replay import Party, replay
from handclasp.doctor.rules.client_chain import client_ailments
from handclasp.doctor.rules.endpoint import diagnose
from handclasp.doctor.rules.observed import Observation, Retry
from handclasp.doctor.sources import Credentials, Source
from handclasp.doctor.words import recognise
from handclasp.findings import Code
from handclasp.probe.credentials import Credential, Pattern, SigningKey
from handclasp.probe.evidence import Attempt
from handclasp.probe.examine import Attempts, Options
from handclasp.probe.examine import examine as probe
from handclasp.probe.report import Report
from handclasp.probe.target import DIRECT, Route, Target
from handclasp.probe.trust import Verifier
from handclasp.tlswire.offer import (
    CLASSICAL,
    OLD_CIPHERS,
    SAFE_CIPHERS,
    TLS12,
    TLS13,
    TLS13_CIPHERS,
    X25519,
    Offer,
)
from handclasp.tlswire.seen import Step

__all__ = ["Asked", "examine"]

_KEEPS_FROM_STARTING: Final = frozenset(
    {
        Code.CLIENT_FILE_UNREADABLE,
        Code.CLIENT_FILE_NOT_PEM,
        Code.CLIENT_KEY_PASSPHRASE,
        Code.CLIENT_KEY_MISMATCH,
        Code.TRUST_STORE_UNREADABLE,
    }
)
_STRANGE_CIPHERS: Final = (
    # ECDHE and DHE with CCM, Camellia and ARIA; RSA with the same; 3DES; PSK is never a matter of certificates.
    *(0xC0AC, 0xC0AD, 0xC0AE, 0xC0AF, 0xC09E, 0xC09F, 0xC0A2, 0xC0A3, 0xC09C, 0xC09D, 0xC0A0, 0xC0A1),
    *(0xC072, 0xC073, 0xC076, 0xC077, 0xC086, 0xC087, 0xC08A, 0xC08B, 0x0041, 0x0084, 0x0045, 0x0088, 0x00BA, 0x00C0),
    *(0x00BE, 0x00C4, 0xC05C, 0xC05D, 0xC060, 0xC061, 0xC050, 0xC051, 0xC052, 0xC053, 0xC008, 0xC012, 0x000A, 0x0016),
    *(0x1304, 0x1305),
)
_STRANGE_GROUPS: Final = (
    # X448, brainpool (TLS 1.3 and 1.2), finite fields, secp256k1, and the hybrids with ML-KEM.
    *(0x001E, 0x001F, 0x0020, 0x0021, 0x001A, 0x001B, 0x001C, 0x0100, 0x0101, 0x0102, 0x0103, 0x0104, 0x0016),
    *(0x11EB, 0x11EC, 0x11ED, 0x0200, 0x0201, 0x0202, 0x6399),
)
_HELLO: Final = frozenset({Step.CLIENT_HELLO, Step.SERVER_FLIGHT})
_LOG_LINES: Final = 10  # of one kind each


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks of an endpoint.

    ``cacerts`` are the files of the ``verifier``, where it has any. ``client`` are the files that the client uses;
    None: no certificate. ``bundle`` are the authorities by which the server judges clients, ``crls`` the lists that
    count on both sides. ``versions`` and ``route`` are the client's. ``log`` is text of the server's log. ``product``
    is the server's software, where a person knows it; ``facts`` name files and hosts for the fixes.
    """

    target: Target
    verifier: Verifier
    client: Credentials | None = None
    cacerts: Sequence[Source] = ()
    bundle: Sequence[Source] = ()
    crls: Sequence[Source] = ()
    versions: tuple[int, ...] = (TLS13, TLS12)
    route: Route = DIRECT
    timeout: float = 10.0
    log: str = ""
    product: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


async def examine(driver: Attempts, asked: Asked, now: Callable[[], datetime]) -> Diagnosis:
    """Examine it; ends by three times the timeout at the latest, most often in a second."""
    at = now()
    client = None if asked.client is None else gather(asked.client, Side.CLIENT, at)
    trusted = gather(Credentials(trust=asked.cacerts), Side.CLIENT, at)
    server = gather(Credentials(trust=asked.bundle, crls=asked.crls), Side.SERVER, at)
    options = Options(
        route=asked.route, versions=asked.versions, deadline=asked.timeout, listen=0.4, hybrid=True, http="always"
    )
    plain = await probe(driver, asked.target, asked.verifier, options, now)
    retries = await _retries(driver, asked, plain)
    loading = [*_blocking(trusted), *_blocking(client), *_blocking(server)]
    shown: Report | None = None
    if client is not None and plain.chain and not loading and client.sent and client.key is not None:
        showing = replace(options, credential=_credential(client), only_credential=True)
        shown = await probe(driver, asked.target, asked.verifier, showing, now)
    sent = () if client is None else client.sent
    local = [] if client is None else [one for one in client.ailments if one.code not in _KEEPS_FROM_STARTING]
    if client is not None:
        local[:0] = client_ailments(client.sent, client.known, server.trust, server.crls, at)
    return diagnose(
        Observation(
            at=at,
            plain=plain,
            shown=shown,
            given=client is not None,
            sent=sent,
            authorities=trusted.trust,
            loading=loading,
            local=local,
            bundle=bool(server.trust),
            lists=bool(server.crls),
            retries=retries,
            skew=_skew(plain if shown is None else shown, at),
            log=_from_log(asked.log, at),
            replayed=_replayed(client, server, at),
            product=asked.product,
            facts=asked.facts,
        )
    )


def _blocking(found: Gathered | None) -> list[Ailment]:
    """What keeps a program from using the files at all."""
    if found is None:
        return []
    return [one for one in found.ailments if one.code in _KEEPS_FROM_STARTING and one.severity is Severity.ERROR]


def _credential(client: Gathered) -> Credential:
    return Credential(
        name="the client's certificate",
        pattern=Pattern.parse("localhost"),  # shown to whom it is named for, whatever its pattern
        chain=tuple(one.public_bytes(Encoding.DER) for one in client.sent),
        not_after=client.sent[0].not_valid_after_utc,
        key=cast("SigningKey", client.key),
    )


async def _retries(driver: Attempts, asked: Asked, plain: Report) -> list[Retry]:
    """What the server says to other hellos, where it broke off ours with an alert."""
    if plain.chain or not any(one.step in _HELLO for one in plain.alerts):
        return []
    name = asked.target.name or None
    offer = Offer(server_name=name if name and not name.replace(".", "").isdigit() and ":" not in name else None)
    tried = [
        (
            "with TLS 1.2 and 1.3, where only one was offered",
            Code.TLS_VERSION_MISMATCH,
            offer if asked.versions != (TLS13, TLS12) else None,
        ),
        (
            "with more ciphers",
            Code.TLS_NO_SHARED_CIPHER,
            replace(
                offer,
                versions=asked.versions,
                ciphers=TLS13_CIPHERS + SAFE_CIPHERS + OLD_CIPHERS + _STRANGE_CIPHERS,
            ),
        ),
        (
            "with more groups",
            Code.TLS_NO_SHARED_GROUP,
            replace(offer, versions=asked.versions, groups=CLASSICAL + _STRANGE_GROUPS, shares=(X25519,)),
        ),
    ]
    found = []
    for what, code, one in tried:
        if one is None:
            continue
        evidence = await driver.attempt(
            Attempt(asked.target, one, route=asked.route, deadline=asked.timeout / 2, listen=0.0)
        )
        seen = evidence.seen
        refused = any(alert.step in _HELLO for alert in seen.alerts)
        answered = seen.version is not None or seen.retried_hello or (seen.fault is not None and not refused)
        found.append(Retry(what, code, answered and not (refused and seen.version is None)))
    return found


def _skew(report: Report, at: datetime) -> timedelta | None:
    """The server's clock less ours, as the Date of its answer has it (RFC 9110 §6.6.1)."""
    if report.response is None:
        return None
    said = next((value for name, value in report.response.headers if name == "date"), None)
    if said is None:
        return None
    try:
        there = parsedate_to_datetime(said[:64])
        # In UTC, where the last day of 9999 may be out of range: what comes of it is reckoned with.
        there = there.replace(tzinfo=UTC) if there.tzinfo is None else there.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return there - at


def _from_log(text: str, at: datetime) -> list[Ailment]:
    if not text:
        return []
    return list(recognise.examine(text, at, "the server's log").findings[:_LOG_LINES])


def _replayed(client: Gathered | None, server: Gathered, at: datetime) -> list[Proof]:
    """What OpenSSL says of the client's chain with the server's files, as a server that is built on it would."""
    if client is None or not client.sent or client.key is None or not server.trust:
        return []
    stand_in = Party(sent=client.sent, key=client.key, trust=server.trust, crls=server.crls)
    found = replay(Party(client.sent, client.key, _roots(client), ()), stand_in, at)
    if not found.server.errors:
        said = "OpenSSL takes it" if found.server.accepted else found.server.text or "OpenSSL says nothing of it"
        return [Proof("replay the handshake in memory with the server's authorities", said)]
    first = found.server.errors[0]
    return [
        Proof(
            "replay the handshake in memory with the server's authorities",
            f"verify error {first.code} at depth {first.depth}: {first.text}",
            {"verify_code": str(first.code), "subject": first.subject},
        )
    ]


def _roots(client: Gathered) -> tuple[x509.Certificate, ...]:
    return client.sent[-1:]
