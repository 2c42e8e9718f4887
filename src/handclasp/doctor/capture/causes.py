"""What the course of a connection means: from what was seen to causes, ranked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from handclasp.doctor.capture import causes_client, causes_server
from handclasp.doctor.capture.conclusion import (
    CLIENT_LOG,
    SERVER_LOG,
    SERVER_SETTINGS,
    Conclusion,
    Weight,
    candidates,
)
from handclasp.doctor.capture.handshakes import TLS13, Alert, Handshake, Kind, Shown
from handclasp.doctor.capture.shown import Judge
from handclasp.doctor.capture.streams import Connection
from handclasp.doctor.capture.told import alert_words, first_line, side
from handclasp.findings import Code
from handclasp.pki.chain_names import shown
from handclasp.tlswire.names import cipher_name, group_name, version_name
from handclasp.tlswire.offer import TLS13_CIPHERS
from handclasp.tlswire.seen import Step

_PATIENCE: Final = 3.0
"""Seconds of silence after which an end is somebody's patience."""
_TLS_PORTS: Final = frozenset({443, 636, 853, 993, 995, 465, 4443, 5671, 6443, 8443, 9443})
_WIDESPREAD: Final = frozenset({0x001D, 0x0017, 0x11EC})
"""Groups of which nearly every server has one: x25519, secp256r1, X25519MLKEM768."""
_ABOUT_VERSION: Final = frozenset({70, 86})
_LISTED: Final = 4
_TLS_REFUSALS: Final = (b"plain HTTP", b"HTTP request to an HTTPS", b"HTTP request was sent to HTTPS")


def conclude(connection: Connection, seen: Handshake, judge: Judge) -> Conclusion | None:
    """None where the connection is no matter of TLS, or cannot be judged. Never raises."""
    match seen.kind:
        case Kind.NOTHING:
            return _nothing(connection, seen)
        case Kind.HTTP:
            return _http(connection, seen)
        case Kind.TUNNEL:
            verdict = f"The proxy did not open the tunnel: it answered {first_line(seen.answer)}."
            found = candidates([(Code.NET_PROXY_REFUSED, "the client's CONNECT was answered with another status")])
            return Conclusion(Weight.REFUSED, verdict, "proxy", found, "The proxy's log says why.")
        case Kind.TLS:
            return _tls(connection, seen, judge)
    return None


def _nothing(connection: Connection, seen: Handshake) -> Conclusion | None:
    if connection.accepted:
        if seen.end is not None and not seen.end.client:
            verdict = "The server ended the connection before the client had sent anything."
            code = Code.NET_RESET_DURING_HANDSHAKE if seen.end.reset else Code.NET_CLOSED_DURING_HANDSHAKE
            return _ended(code, verdict, "before the ClientHello")
        return None  # a check of the port, or a protocol in which the server speaks first
    if seen.end is not None and not seen.end.client and seen.end.reset:
        what = f"nothing listens at {connection.server}, or a firewall answered in its place"
        verdict = f"{connection.server} refused the connection: it answered the SYN with a reset."
        decider = "Whether the server runs and listens on this address and port: ss -ltnp there."
        found = candidates([(Code.NET_CONNECTION_REFUSED, what)])
        return Conclusion(Weight.FAILED, verdict, "TCP", found, decider)
    if connection.answered:
        return None
    verdict = f"{connection.server} did not answer: {connection.syns} SYN, and no packet came back."
    what = "a firewall drops the packets, the address is wrong, or the way back is missing"
    decider = "A capture on the server: if the SYN arrives there, the way back is at fault."
    return Conclusion(Weight.FAILED, verdict, "TCP", candidates([(Code.NET_CONNECT_TIMEOUT, what)]), decider)


def _ended(code: Code, verdict: str, where: str, *others: tuple[Code, str], decider: str = SERVER_LOG) -> Conclusion:
    return Conclusion(Weight.FAILED, verdict, where, candidates([(code, verdict), *others]), decider)


def _http(connection: Connection, seen: Handshake) -> Conclusion | None:
    answer = seen.answer
    if answer[:2] == b"\x15\x03":
        how = "with a TLS alert"
    elif answer[9:12] == b"400" and any(text in answer for text in _TLS_REFUSALS):
        how = "that it expects TLS"
    elif not answer and connection.server.port in _TLS_PORTS and seen.end is not None and not seen.end.client:
        how = "by ending the connection"
    else:
        return None
    verdict = f"The client spoke plain HTTP to a port with TLS; the server answered {how}."
    found = candidates([(Code.PROTO_PLAIN_HTTP_TO_TLS, "the client's first octets are an HTTP request, not TLS")])
    return Conclusion(Weight.REFUSED, verdict, "first octets", found, "The client's URL: it should begin with https:.")


def _tls(connection: Connection, seen: Handshake, judge: Judge) -> Conclusion | None:
    if seen.answer and seen.answer[:1] not in {b"\x15", b"\x16"}:
        return _not_tls(connection, seen)
    alert = next((one for one in seen.alerts if _ends_it(one, seen)), None)
    if alert is not None:
        return _alert(seen, alert, judge)
    if seen.complete and not _refused_later(seen):
        return _through(seen, judge)
    if seen.gaps or connection.cut or seen.fault:
        return _unclear(connection, seen)
    if seen.end is None:
        return _unfinished(connection, seen)
    return _cut_off(seen, judge)


def _ends_it(alert: Alert, seen: Handshake) -> bool:
    """Whether the alert is a refusal: fatal, and not the usual end of a connection that was used."""
    if not alert.fatal or alert.number == 0 or (alert.number == 90 and not alert.fatal):
        return False
    if alert.number is not None:
        return True
    if alert.step in {Step.APPLICATION, Step.CLIENT_FLIGHT} and not seen.encrypted:
        return alert.step is Step.CLIENT_FLIGHT
    if alert.step is Step.APPLICATION:
        return False
    if alert.step is Step.FIRST_READ:
        # The first to send it ends the connection; the server's is a refusal where the client did not end it.
        first = next(one for one in seen.alerts if one.step is Step.FIRST_READ)
        return not alert.client and first is alert
    return True


def _refused_later(seen: Handshake) -> bool:
    """TLS 1.3: the server ended it after the client's flight, before it had said anything."""
    ends_first = seen.end is not None and not seen.end.client
    return seen.encrypted and not seen.spoke and ends_first and not seen.alerts


def _not_tls(connection: Connection, seen: Handshake) -> Conclusion:
    http = seen.answer[:5].lower() in {b"http/", b"<!doc", b"<html"}
    code = Code.PROTO_TLS_TO_PLAIN if http else Code.PROTO_NOT_TLS
    verdict = f"The client began TLS, and {connection.server} answered {first_line(seen.answer)}: it has no TLS there."
    why = "the first octets of the server's answer are no TLS record"
    decider = "Which port of the server has TLS: its configuration."
    return Conclusion(Weight.REFUSED, verdict, "first octets", candidates([(code, why)]), decider)


def _alert(seen: Handshake, alert: Alert, judge: Judge) -> Conclusion:
    if alert.client:
        if alert.step is Step.SERVER_FLIGHT and alert.number not in _ABOUT_VERSION:
            return causes_server.refused(seen, alert, judge)
        return _plainly(seen, alert, CLIENT_LOG)
    if alert.step is Step.CLIENT_HELLO:
        return _at_hello(seen, alert)
    if causes_client.sent_none(seen):
        return causes_client.missing(seen, f"the server answered with {alert_words(alert.number)}")
    if causes_client.sent_one(seen):
        return causes_client.refused(seen, alert, judge)
    if alert.number == 116:
        return causes_client.missing(seen, "the server answered with alert 116 (certificate_required)")
    return _plainly(seen, alert, SERVER_LOG)


def _plainly(seen: Handshake, alert: Alert, decider: str) -> Conclusion:
    step = alert.step.value.replace("_", " ")
    verdict = f"{side(alert.client).capitalize()} ended the handshake with {alert_words(alert.number)} (step: {step})."
    pairs = [(Code.TLS_ALERT, "what the alert says is all that can be seen")]
    if alert.number in _ABOUT_VERSION:
        pairs.insert(0, (Code.TLS_VERSION_MISMATCH, "the two sides have no version of TLS in common"))
    if seen.encrypted and seen.shown is Shown.UNCLEAR and not alert.client:
        pairs.append((Code.CLIENT_CERT_MISSING, "the lengths do not tell whether the client sent a certificate"))
    return Conclusion(Weight.REFUSED, verdict, step, candidates(pairs), decider)


def _at_hello(seen: Handshake, alert: Alert) -> Conclusion:
    verdict = f"The server refused the ClientHello with {alert_words(alert.number)}."
    found = candidates(_hello_causes(seen, alert.number))
    return Conclusion(Weight.REFUSED, verdict, "ClientHello", found, SERVER_SETTINGS)


def _hello_causes(seen: Handshake, number: int | None) -> Iterator[tuple[Code, str]]:
    hello = seen.hello
    versions = ciphers = groups = "what it offers"
    name = "no server name"
    few = False
    if hello is not None:
        versions = ", ".join(version_name(one) for one in hello.versions[:_LISTED])
        ciphers = _some([cipher_name(one) for one in hello.ciphers])
        groups = _some([group_name(one) for one in hello.groups])
        name = "no server name" if hello.name is None else f"the server name {shown(hello.name)}"
        few = bool(hello.groups) and not _WIDESPREAD & set(hello.groups)
        few |= hello.versions[-1] >= TLS13 and set(hello.ciphers) >= set(TLS13_CIPHERS)
    version = Code.TLS_VERSION_MISMATCH, f"the client offers {versions}, and the server may take none of them"
    cipher = Code.TLS_NO_SHARED_CIPHER, f"the client offers {ciphers}, and the server may take none of them"
    group = Code.TLS_NO_SHARED_GROUP, f"the client offers the groups {groups}, and the server may take none of them"
    naming = Code.TLS_SNI_UNRECOGNIZED, f"the client sent {name}, and the server may serve no such name"
    if number in _ABOUT_VERSION:
        yield version
    elif number in {40, 71}:
        yield from (group, cipher) if few else (cipher, group)
        yield version
        yield naming
    elif number in {112, 80, 49}:  # 80: Caddy and Go have no certificate for the name
        yield naming
    yield Code.TLS_ALERT, "what the alert says is all that can be seen"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _through(seen: Handshake, judge: Judge) -> Conclusion:
    if causes_client.sent_none(seen):
        return causes_client.maybe_missing(seen)
    if (doubtful := causes_client.doubtful(seen, judge)) is not None:
        return doubtful
    name = None if seen.hello is None else seen.hello.name
    beside = judge.client(seen.client_chain).ailments if seen.client_chain else ()
    if seen.server_chain:
        beside += judge.server(seen.server_chain, name).ailments
    verdict = "The handshake went through; what HTTP said after it is encrypted."
    return Conclusion(Weight.SOUND, verdict, "handshake", candidates([(Code.OK, verdict)]), beside=beside)


def _unclear(connection: Connection, seen: Handshake) -> Conclusion:
    if seen.fault and not (seen.gaps or connection.cut):
        verdict = f"The handshake broke: {seen.fault}."
        return Conclusion(Weight.FAILED, verdict, "handshake", candidates([(Code.TLS_MALFORMED, seen.fault)]))
    verdict = "The capture lacks packets of the handshake, so that its end cannot be told."
    decider = "A capture that is whole: tcpdump -s 0 -w FILE, on the client or on the server."
    return Conclusion(Weight.UNFINISHED, verdict, "capture", candidates([(Code.UNKNOWN, verdict)]), decider)


def _unfinished(connection: Connection, seen: Handshake) -> Conclusion:
    if seen.step is Step.CLIENT_HELLO and not seen.answer:
        verdict = f"{connection.server} took the ClientHello, and did not answer by the end of the capture."
        what = "the server hangs, or a device on the way swallows the hello (its size, its server name)"
        decider = "A capture on the server: whether the ClientHello arrives, and whether an answer leaves."
        return Conclusion(
            Weight.FAILED, verdict, "ClientHello", candidates([(Code.NET_HANDSHAKE_TIMEOUT, what)]), decider
        )
    verdict = "The capture ends in the middle of the handshake."
    decider = "A capture that goes on until the client has its error."
    return Conclusion(Weight.UNFINISHED, verdict, "capture", candidates([(Code.UNKNOWN, verdict)]), decider)


def _cut_off(seen: Handshake, judge: Judge) -> Conclusion:
    """The connection ended in the handshake, and nobody sent an alert."""
    end = seen.end
    assert end is not None
    code = Code.NET_RESET_DURING_HANDSHAKE if end.reset else Code.NET_CLOSED_DURING_HANDSHAKE
    how = f"{side(end.client)} {'reset' if end.reset else 'closed'} the connection"
    if end.silence >= _PATIENCE:
        waited = f"{how} after {end.silence:.0f} seconds of silence"
        return _ended(
            Code.NET_HANDSHAKE_TIMEOUT,
            f"{waited[0].upper()}{waited[1:]}, in the middle of the handshake.",
            seen.step.value.replace("_", " "),
            (code, how),
        )
    if not end.client and seen.client_flight:
        if causes_client.sent_none(seen):
            return causes_client.missing(seen, f"{how} without an alert")
        if causes_client.sent_one(seen):
            return causes_client.silently(seen, code, how, judge)
    if end.client and seen.step is Step.SERVER_FLIGHT:
        return causes_server.left(seen, code, how, judge)
    verdict = f"{how[0].upper()}{how[1:]} in the middle of the handshake, without an alert."
    step = seen.step.value.replace("_", " ")
    if not end.client and seen.step is Step.CLIENT_HELLO:
        name = "no server name" if seen.hello is None or seen.hello.name is None else "a name it does not serve"
        others = (
            (Code.TLS_SNI_UNRECOGNIZED, f"some servers end it so for {name}"),
            (Code.TLS_VERSION_MISMATCH, "some servers end it so where no version is shared"),
        )
        return _ended(code, verdict, step, *others)
    return _ended(code, verdict, step, decider=CLIENT_LOG if end.client else SERVER_LOG)
