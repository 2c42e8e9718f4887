"""One connection of a capture as a line of evidence: who said what, in the order in which it was said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from handclasp.doctor.capture.handshakes import Handshake, Kind, Shown
from handclasp.doctor.capture.shown import Judge, authorities
from handclasp.doctor.capture.streams import Connection
from handclasp.doctor.diagnosis import Proof
from handclasp.pki.chain_names import shown
from handclasp.tlswire.messages import KEY_SHARE
from handclasp.tlswire.names import alert_name, cipher_name, group_name, version_name

_LISTED: Final = 6
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def time_of(nanoseconds: int) -> datetime | None:
    """When a packet was captured; None where the capture does not say, or says nonsense (before 2000)."""
    at = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    return at if at.year >= 2000 else None


def proof(connection: Connection, seen: Handshake, judge: Judge) -> Proof:
    """The line of evidence for one connection."""
    at = time_of(connection.begun)
    began = "" if at is None else f" at {at:%Y-%m-%d %H:%M:%S} UTC"
    tried = f"{connection.client} to {connection.server}{began}"
    return Proof(tried, "; ".join(_said(connection, seen, judge)), dict(_facts(seen)))


def side(client: bool) -> str:
    """In words."""
    return "the client" if client else "the server"


def alert_words(number: int | None) -> str:
    """``alert 48 (unknown_ca)``; what is encrypted has no number."""
    return "an encrypted alert" if number is None else f"alert {number} ({alert_name(number)})"


def counted(number: int, what: str) -> str:
    """``1 packet``, ``2 packets``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _said(connection: Connection, seen: Handshake, judge: Judge) -> Iterator[str]:
    if seen.kind is Kind.NOTHING:
        yield from _opening(connection)
    elif seen.kind is Kind.HTTP:
        yield "the client sent plain HTTP"
        yield f"the server answered {first_line(seen.answer)}" if seen.answer else "the server did not answer"
    elif seen.kind is Kind.TUNNEL:
        yield f"the proxy answered the client's CONNECT with {first_line(seen.answer)}"
    elif seen.kind is Kind.TLS:
        yield from _hellos(seen)
        yield from _certificates(seen, judge)
        yield from _ending(seen)
    if True in seen.gaps or False in seen.gaps:
        lost = " and ".join(side(one) for one in sorted(set(seen.gaps), reverse=True))
        yield f"the capture lacks octets that {lost} sent"
    if connection.cut:
        yield "its packets were captured only in part (tcpdump needs -s 0)"
    if seen.fault:
        yield seen.fault
    if seen.end is not None:
        how = "reset" if seen.end.reset else "closed"
        waited = f" after {seen.end.silence:.1f} s of silence" if seen.end.silence >= 1 else ""
        yield f"{side(seen.end.client)} {how} the connection first{waited}"


def _opening(connection: Connection) -> Iterator[str]:
    if connection.accepted:
        yield "the server accepted the connection, and the client sent nothing"
    else:
        yield f"the client sent {counted(connection.syns, 'SYN')}, the server did not accept"


def _hellos(seen: Handshake) -> Iterator[str]:
    hello = seen.hello
    if hello is None:
        yield "the ClientHello is not complete"
    else:
        name = "no server name" if hello.name is None else f"server name {shown(hello.name)}"
        versions = ", ".join(version_name(one) for one in hello.versions[:_LISTED])
        yield f"ClientHello: {name}, {versions}, {len(hello.ciphers)} cipher suites, {len(hello.groups)} groups"
    if seen.retried:
        yield "the server asked for another key share (HelloRetryRequest)"
    if seen.server_hello is not None:
        chosen = seen.server_hello
        yield f"ServerHello: {version_name(chosen.version)}, {cipher_name(chosen.cipher)}"
    elif seen.answer and seen.answer[:1] not in {b"\x15", b"\x16"}:
        yield f"the server answered {first_line(seen.answer)}, which is not TLS"


def _certificates(seen: Handshake, judge: Judge) -> Iterator[str]:
    name = None if seen.hello is None else seen.hello.name
    if seen.server_chain is not None:
        count = len(seen.server_chain)
        yield f"the server sent {counted(count, 'certificate')}: {judge.server(seen.server_chain, name).leaf}"
    if seen.request is not None:
        yield f"the server asked for a client certificate {authorities(seen.request.authorities)}"
    elif seen.hello_done:
        yield "the server asked for no client certificate"
    if seen.client_chain is not None:
        count = len(seen.client_chain)
        yield (
            f"the client sent {counted(count, 'certificate')}: {judge.client(seen.client_chain).leaf}"
            if count
            else "the client sent an empty Certificate"
        )
    if seen.encrypted:
        yield _BY_LENGTH[seen.shown]


_BY_LENGTH: Final = {
    Shown.NOTHING_YET: "what follows is encrypted; the client sent no Finished",
    Shown.NOT_ASKED: "what follows is encrypted; by its length the client sent its Finished alone: it was "
    "not asked for a certificate",
    Shown.EMPTY: "what follows is encrypted; by its length the client was asked for a certificate and sent none",
    Shown.CERTIFICATE: "what follows is encrypted; by its length the client sent a certificate",
    Shown.UNCLEAR: "what follows is encrypted; whether the client sent a certificate its length does not tell",
}


def _ending(seen: Handshake) -> Iterator[str]:
    for alert in seen.alerts[:_LISTED]:
        level = "" if alert.fatal else ", a warning"
        step = alert.step.value.replace("_", " ")
        yield f"{side(alert.client)} sent {alert_words(alert.number)}{level} in packet {alert.at}, step {step}"


def _facts(seen: Handshake) -> Iterator[tuple[str, str]]:
    hello, chosen = seen.hello, seen.server_hello
    if hello is not None:
        if hello.name is not None:
            yield "sni", shown(hello.name)
        yield "offered_versions", ", ".join(version_name(one) for one in hello.versions[:16])
        yield "offered_ciphers", ", ".join(cipher_name(one) for one in hello.ciphers[:64])
        yield "offered_groups", ", ".join(group_name(one) for one in hello.groups[:32])
        if hello.alpn:
            yield "offered_alpn", shown(", ".join(hello.alpn))
    if chosen is not None:
        yield "version", version_name(chosen.version)
        yield "cipher", cipher_name(chosen.cipher)
        share = chosen.extensions.get(KEY_SHARE, b"")
        if len(share) >= 2:
            yield "group", group_name(int.from_bytes(share[:2], "big"))
    for alert in seen.alerts[:1]:
        if alert.number is not None:
            yield "alert", str(alert.number)
            yield "alert_from", "client" if alert.client else "server"


def first_line(data: bytes) -> str:
    """The first line of what was said in plain, fit to print."""
    line = data[:120].split(b"\n")[0].strip()
    return shown(repr(line.decode("ascii", "backslashreplace"))) if line else "nothing readable"
