"""A capture, examined: every connection of it told, and the one that failed most clearly diagnosed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from handclasp.doctor.capture import packets, pcap, streams
from handclasp.doctor.capture.causes import conclude
from handclasp.doctor.capture.conclusion import Conclusion, Weight
from handclasp.doctor.capture.handshakes import Handshake, Kind, follow
from handclasp.doctor.capture.shown import Judge
from handclasp.doctor.capture.streams import Connection
from handclasp.doctor.capture.told import counted, proof, time_of
from handclasp.doctor.diagnosis import Ailment, Candidate, Diagnosis, Proof, Severity
from handclasp.findings import Code
from handclasp.pki.chain_names import shown

_LINES: Final = 40
"""Connections that are told one by one."""
_FINDINGS: Final = 60


class _Told(NamedTuple):
    connection: Connection
    seen: Handshake
    conclusion: Conclusion | None


def examine(data: bytes, name: str, at: datetime) -> Diagnosis:
    """The diagnosis of a capture file (pcap or pcapng). ``name`` is what it is called.

    Certificates are judged at the time of the capture, and at ``at`` where it tells none. Bounded in time and memory
    by ``pcap.MAX_PACKETS`` and ``streams.MAX_TOTAL``, beyond the octets themselves. Never raises.
    """
    subject = shown(name)
    try:
        capture = pcap.read(data)
    except pcap.NotACapture as error:
        verdict = f"{subject} is no capture that can be read: {error}."
        return _impossible(subject, at, verdict, Code.FILE_UNRECOGNIZED)
    skipped = packets.Skipped()
    segments = (
        one
        for number, packet in enumerate(capture.packets, 1)
        if (one := packets.segment(number, packet, skipped)) is not None
    )
    found = streams.connections(segments)
    when = next((time for packet in capture.packets if (time := time_of(packet.at)) is not None), at)
    judge = Judge(when)
    told = [_told(one, judge) for one in found.found]
    evidence = (_summary(capture, told, skipped, found), *_lines(told, judge))
    return _diagnosis(subject, at, told, evidence)


def _told(connection: Connection, judge: Judge) -> _Told:
    seen = follow(connection)
    return _Told(connection, seen, conclude(connection, seen, judge))


def _impossible(
    subject: str, at: datetime, verdict: str, code: Code, evidence: tuple[Proof, ...] = (), decider: str = ""
) -> Diagnosis:
    return Diagnosis(
        subject, at, verdict, (Candidate(code, verdict),), evidence=evidence, decider=decider, examined=False
    )


def _summary(
    capture: pcap.Capture, told: Sequence[_Told], skipped: packets.Skipped, found: streams.Connections
) -> Proof:
    kinds = Counter(str(one.seen.kind) for one in told)
    seen = [
        f"{counted(len(capture.packets), 'packet')}, {counted(len(told), 'TCP connection')}, {kinds[Kind.TLS]} with TLS"
    ]
    if kinds[Kind.MIDWAY]:
        seen.append(f"{kinds[Kind.MIDWAY]} connections began before the capture: their handshakes are not in it")
    seen += capture.notes
    if skipped.fragments:
        seen.append(f"{skipped.fragments} fragments of IP packets were left out")
    for link, count in skipped.links.most_common(3):
        seen.append(f"{count} packets have the link type {link}, which is not read")
    if found.left_out:
        seen.append(f"only the first {streams.MAX_CONNECTIONS} connections were followed")
    if found.full:
        seen.append("the capture has more data than is kept: later octets were left out")
    if capture.secrets:
        seen.append("it also holds the keys of sessions (not read): whoever has this file can decrypt the traffic")
    return Proof(f"read the capture ({capture.form})", "; ".join(seen))


def _lines(told: Sequence[_Told], judge: Judge) -> Iterator[Proof]:
    telling = sorted(
        (one for one in told if one.conclusion is not None),
        key=lambda one: -_weight(one),
    )
    for one in telling[:_LINES]:
        yield proof(one.connection, one.seen, judge)
    if len(telling) > _LINES:
        yield Proof("the other connections", f"{len(telling) - _LINES} more, none of which failed more clearly")


def _weight(one: _Told) -> Weight:
    return Weight.SOUND if one.conclusion is None else one.conclusion.weight


def _diagnosis(subject: str, at: datetime, told: Sequence[_Told], evidence: tuple[Proof, ...]) -> Diagnosis:
    judged = [(one.connection, one.conclusion) for one in told if one.conclusion is not None]
    if not judged:
        verdict = f"{subject} has no handshake that could be judged: {evidence[0].seen}."
        decider = (
            "A capture that begins before the client connects: tcpdump -i any -s 0 -w FILE host SERVER and port 443."
        )
        return _impossible(subject, at, verdict, Code.UNKNOWN, evidence, decider)
    counted = Counter((conclusion.code, str(connection.server)) for connection, conclusion in judged)
    connection, worst = max(
        judged, key=lambda one: (one[1].weight, counted[one[1].code, str(one[0].server)])
    )  # the first of those that are equal
    same = counted[worst.code, str(connection.server)]
    verdict = worst.verdict
    if len(judged) > 1:
        verdict += f" ({same} of {len(judged)} connections, the first from {connection.client} to {connection.server})"
    return Diagnosis(
        subject,
        at,
        verdict,
        worst.candidates,
        evidence=evidence,
        findings=tuple(_findings(connection, worst, judged)),
        decider=worst.decider,
    )


def _findings(
    connection: Connection, worst: Conclusion, judged: Sequence[tuple[Connection, Conclusion]]
) -> Iterator[Ailment]:
    """That of the verdict, then those of other connections, then what is wrong beside: each once."""
    once: set[tuple[Code, str]] = set()
    ordered = [(connection, worst), *sorted(judged, key=lambda one: -one[1].weight)]
    for to, one in ordered:
        key = one.code, str(to.server)
        if one.code is Code.OK or key in once or len(once) >= _FINDINGS:
            continue
        once.add(key)
        severity = Severity.ERROR if one.weight >= Weight.FAILED else Severity.WARNING
        yield Ailment(one.code, f"{to.server}, {one.where}", one.verdict, severity)
    beside: set[tuple[Code, str]] = set()
    for _, one in ordered:
        for ailment in one.beside:
            key = ailment.code, ailment.what
            if key in beside or len(beside) >= _FINDINGS or (ailment.code is worst.code):
                continue
            beside.add(key)
            yield ailment
