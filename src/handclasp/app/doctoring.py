"""`handclasp doctor` below its face: the files are read here, the time is taken here, and the examination is called.

What every function returns is a Diagnosis; ``doctor.diagnosis`` has its JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509

from handclasp.app import ambient, anchors, doctor_sources, probing, yaml_nodes
from handclasp.app.control import SettingsSource
from handclasp.app.state import StateDirectory
from handclasp.doctor import capture, endpoint, pair
from handclasp.doctor.config import examine as config
from handclasp.doctor.diagnosis import Ailment, Candidate, Diagnosis
from handclasp.doctor.files import examine as files
from handclasp.doctor.rules.endpoint import advised
from handclasp.doctor.sources import Credentials, Source
from handclasp.doctor.words import recognise as words
from handclasp.findings import Code, Refused
from handclasp.pki import containers
from handclasp.probe import parse
from handclasp.probe.target import StartTLS
from handclasp.probe.trust import Anchors, Verifier
from handclasp.tlswire.offer import TLS12, TLS13

_VERSIONS = {"1.2": (TLS12,), "1.3": (TLS13,), None: (TLS13, TLS12)}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks of an endpoint, in plain values. File names are as given."""

    target: str
    cert: str | None = None
    key: str | None = None
    cacerts: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    crls: tuple[str, ...] = ()
    passphrase: bytes | None = None
    server_name: str | None = None
    address: str | None = None
    starttls: str | None = None
    version: str | None = None
    timeout: float = 10.0
    product: str = ""
    log: str | None = None


async def endpoint_of(asked: Asked, state: StateDirectory, load: SettingsSource) -> Diagnosis:
    """Examine an endpoint. Raises InvalidSetting for a target that cannot be one."""
    own = None if asked.cacerts else await probing.own_bundle(state, load, must=False)
    question = question_of(asked, own)
    with probing.driver(4) as connections:
        return await endpoint.examine(connections, question, ambient.now)


def question_of(asked: Asked, own: str | None = None) -> endpoint.Asked:
    """The same with the files read; ``own`` is the bundle of our own authority (PEM), trusted beside the system's where
    no other is named. Raises InvalidSetting."""
    starttls = None if asked.starttls is None else StartTLS(asked.starttls)
    target = parse.target(asked.target, server_name=asked.server_name, starttls=starttls)
    trusted = _anchors(asked.cacerts)
    if not trusted:
        trusted = [anchors.system()] if own is None else [anchors.system(), anchors.own(own)]
    crls = doctor_sources.sources(asked.crls)
    client = None
    if asked.cert is not None or asked.key is not None:
        named = [one for one in (asked.cert, asked.key) if one is not None]
        client = Credentials(files=doctor_sources.sources(named), passphrase=asked.passphrase)
    return endpoint.Asked(
        target=target,
        verifier=Verifier(trusted).with_crls(_lists(crls)),
        client=client,
        bundle=doctor_sources.sources(asked.bundles),
        crls=crls,
        cacerts=doctor_sources.sources(asked.cacerts),
        versions=_VERSIONS[asked.version],
        route=parse.route(address=asked.address),
        timeout=asked.timeout,
        log="" if asked.log is None else _text(asked.log),
        product=asked.product,
        facts=_facts(asked, target.name or target.host, target.port),
    )


def of_files(names: Sequence[str], passphrase: bytes | None) -> Diagnosis:
    """Examine files, directories and secrets."""
    return _advised(files.examine(doctor_sources.sources(names), ambient.now(), passphrase))


def of_pair(client: str, server: str, asked: Asked) -> Diagnosis:
    """Replay the handshake with both sides' files; each is a file, a directory, or names with commas between. Of
    ``asked`` the authorities, the lists, the passphrase and the server's name are heeded."""
    crls = doctor_sources.sources(asked.crls)
    both = (
        Credentials(_files(client), doctor_sources.sources(asked.cacerts), crls, asked.passphrase),
        Credentials(_files(server), doctor_sources.sources(asked.bundles), crls, asked.passphrase),
    )
    return _advised(pair.pair(*both, ambient.now(), name=asked.server_name))


def of_words(text: str, subject: str) -> Diagnosis:
    """Explain an error text, or a log."""
    return _advised(words.examine(text, ambient.now(), subject))


def of_capture(name: str) -> Diagnosis:
    """Read a capture."""
    one = doctor_sources.source(name)
    return _unreadable(one) if one.unreadable else _advised(capture.examine(one.data, one.name, ambient.now()))


def of_config(name: str, product: str, cert: Sequence[str], passphrase: bytes | None) -> Diagnosis:
    """Judge the configuration of a server, and replay a client's certificate against it."""
    one = doctor_sources.source(name)
    if one.unreadable:
        return _unreadable(one)
    client = Credentials(files=doctor_sources.sources(cert), passphrase=passphrase) if cert else None
    return _advised(
        config.examine(
            str(Path(name).absolute()),
            one,
            doctor_sources.load,
            ambient.now(),
            product=product,
            client=client,
            parse_yaml=yaml_nodes.parse,
            public=_public(),
        )
    )


def _advised(diagnosis: Diagnosis) -> Diagnosis:
    """With what to do about each finding, for the product at hand."""
    return replace(diagnosis, findings=tuple(advised(one, diagnosis.product, {}) for one in diagnosis.findings))


def _public() -> frozenset[bytes]:
    """The fingerprints (SHA-256) of the authorities that the system trusts: nobody's own."""
    with suppress(Refused, ValueError, OSError):
        return frozenset(hashlib.sha256(one).digest() for one in anchors.system_ders())
    return frozenset()


def _unreadable(one: Source) -> Diagnosis:
    why = f"{one.name}: {one.unreadable}"
    ailment = Ailment(Code.CONFIG_FILE_MISSING, one.name, one.unreadable or "")
    return Diagnosis(
        one.name,
        ambient.now(),
        f"The file cannot be examined ({why}).",
        (Candidate(Code.CONFIG_FILE_MISSING, why),),
        findings=(ailment,),
        examined=False,
    )


def _files(names: str) -> tuple[Source, ...]:
    return doctor_sources.sources([names] if doctor_sources.exists(names) else [one for one in names.split(",") if one])


def _anchors(names: Sequence[str]) -> list[Anchors]:
    """The client's own authorities; what cannot be read is told by whoever gathers the files."""
    found = []
    for name in names:
        with suppress(Refused):
            found.append(anchors.file(Path(name)))
    return found


def _lists(crls: Sequence[Source]) -> list[x509.CertificateRevocationList]:
    found: list[x509.CertificateRevocationList] = []
    for one in crls:
        try:
            found += containers.read(one.data).crls
        except (ValueError, Refused):
            continue  # told of by whoever gathers them
    return found


def _facts(asked: Asked, host: str, port: int) -> Mapping[str, str]:
    named = {
        "host": host,
        "port": str(port),
        "cert": asked.cert,
        "key": asked.key,
        "cacert": asked.cacerts[0] if asked.cacerts else None,
        "bundle": asked.bundles[0] if asked.bundles else None,
        "crl": asked.crls[0] if asked.crls else None,
        "name": asked.server_name,
    }
    return {name: value for name, value in named.items() if value}


def _text(name: str) -> str:
    """The log's text. Refused (FILE_UNRECOGNIZED)."""
    one = doctor_sources.source(name)
    if one.unreadable is not None:
        fix = "Name the server's log, or leave --log away."
        raise Refused(Code.FILE_UNRECOGNIZED, f"{name} cannot be read", one.unreadable, fix)
    return one.data.decode(errors="replace")
