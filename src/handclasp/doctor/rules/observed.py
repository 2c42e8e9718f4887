"""What the doctor has seen of one endpoint, before anything is concluded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509

from handclasp.doctor.diagnosis import Ailment, Proof
from handclasp.findings import Code
from handclasp.probe.report import Report


@dataclass(frozen=True, slots=True)
class Retry:
    """A hello that was changed in one way, since the server broke off the usual one. ``code`` is what follows if it
    ``worked`` (the server answered with a ServerHello)."""

    what: str
    code: Code
    worked: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """All of it.

    ``plain`` is the examination without a certificate, ``shown`` the one that shows it (None: there is none to show, or
    the server could not be reached). ``sent`` is the client's chain, leaf first; empty without a certificate.
    ``authorities`` are those of a file by which the client verifies servers.
    ``given`` says that a client certificate was named, even if it cannot be used. ``loading`` are the faults of files
    that keep a client from starting, ``local`` those of the client's chain: as the server's ``bundle`` has it where it
    was given, otherwise by itself. ``log`` are codes that the server's log spoke of. ``facts`` are file and host names
    for the fixes, ``product`` the server's software as named by a person. ``replayed`` is the proof of a replay.
    """

    at: datetime
    plain: Report
    shown: Report | None = None
    given: bool = False
    sent: Sequence[x509.Certificate] = ()
    authorities: Sequence[x509.Certificate] = ()
    loading: Sequence[Ailment] = ()
    local: Sequence[Ailment] = ()
    bundle: bool = False
    lists: bool = False
    retries: Sequence[Retry] = ()
    skew: timedelta | None = None
    log: Sequence[Ailment] = ()
    replayed: Sequence[Proof] = ()
    product: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
