"""A server's configuration judged: its files, its settings, and what it says to a client's certificate."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from handclasp.doctor.config.judge_client import Answer, answer
from handclasp.doctor.config.judge_files import Material, distinct, material
from handclasp.doctor.config.judge_settings import settings
from handclasp.doctor.config.model import Configuration, Load, MutualServer, Verify
from handclasp.doctor.diagnosis import Ailment, Candidate, Diagnosis, Proof, Severity
from handclasp.doctor.files.gather import Gathered
from handclasp.findings import Code

_RANK: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
_SAYS: Final = {
    Verify.NONE: "asks nobody for a certificate",
    Verify.OPTIONAL: "asks for a certificate, and serves callers without one",
    Verify.OPTIONAL_UNVERIFIED: "asks for a certificate, and takes any",
    Verify.REQUIRED: "requires a certificate of every caller",
}
_MOST: Final = 300  # servers


def judge(
    configuration: Configuration,
    load: Load,
    at: datetime,
    client: Gathered | None = None,
    *,
    public: Collection[bytes] = frozenset(),
) -> Diagnosis:
    """What is wrong with mutual TLS as this configuration has it, the gravest first; never raises.

    With a ``client``, whether each server lets it in is told first. ``public`` are SHA-256 fingerprints (32 octets, of
    the DER) of the authorities that this system trusts: those of them among a server's authorities are
    CONFIG_PUBLIC_ROOTS.
    """
    subject = configuration.files[0] if configuration.files else configuration.product
    known = frozenset(public)
    findings = list(configuration.ailments)
    evidence: list[Proof] = []
    answers: list[tuple[MutualServer, Answer]] = []
    for server in configuration.servers[:_MOST]:
        found = material(server, load, at)
        findings += [*settings(server, found, known), *found.ailments]
        evidence.append(_evidence(server, found))
        if client is not None:
            answers.append((server, answer(server, found, client, at)))
    replies = [one for _, reply in answers for one in reply.ailments]
    if client is not None:
        replies += client.ailments
        evidence += [reply.proof for _, reply in answers]
    ordered = sorted(distinct([*replies, *findings]), key=lambda one: _RANK[one.severity])
    examined = bool(configuration.servers) or not any(
        one.code is Code.CONFIG_UNREADABLE and one.severity is Severity.ERROR for one in findings
    )
    worst = next((one for one in ordered if one.severity is not Severity.NOTE), None)
    verdict = _verdict(configuration, worst, answers)
    return Diagnosis(
        subject,
        at,
        verdict,
        (Candidate(worst.code if worst else Code.OK, worst.what if worst else verdict),),
        tuple(evidence),
        tuple(ordered),
        product=configuration.product,
        examined=examined,
    )


def _verdict(
    configuration: Configuration, worst: Ailment | None, answers: Sequence[tuple[MutualServer, Answer]]
) -> str:
    sentences = []
    refused = [server.name for server, reply in answers if reply.accepted is False]
    accepted = [server.name for server, reply in answers if reply.accepted]
    if refused:
        sentences.append(f"The client's certificate is refused by {', '.join(refused[:5])}.")
    if accepted:
        sentences.append(f"The client's certificate is accepted by {', '.join(accepted[:5])}.")
    if worst is not None:
        sentences.append(f"{worst.place or worst.where}: {worst.what}.")
    elif not configuration.servers:
        sentences.append(f"No server in this configuration of {configuration.product} asks for client certificates.")
    elif not sentences:
        sentences.append(f"Client certificates are required and verified as they should be ({_count(configuration)}).")
    return " ".join(sentences)


def _count(configuration: Configuration) -> str:
    number = len(configuration.servers)
    return f"{number} server" if number == 1 else f"{number} servers"


def _evidence(server: MutualServer, found: Material) -> Proof:
    facts = {
        "verify": server.verify.value,
        "trusted": str(len(found.trust)),
        "crls": str(len(found.crls)),
        "depth": "any" if server.depth is None else str(server.depth),
        "protocols": " ".join(server.protocols),
        "resumes": server.resumes.value if server.resumes is not None else "no",
    }
    if server.identity_headers:
        facts["identity"] = "; ".join(one.value for one in server.identity_headers[:10])
    return Proof(f"{server.product} {server.name}, {server.place}", _SAYS[server.verifies], facts)
