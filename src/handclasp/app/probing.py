"""`handclasp probe` below its face: with whom servers are verified, and the examinations side by side.

What they return is the JSON of ``probe.report``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from handclasp.app import ambient, anchors, control, convert
from handclasp.app.control import SettingsSource
from handclasp.app.state import StateDirectory
from handclasp.findings import CATALOGUE, Refused
from handclasp.pki.chain import Revocation
from handclasp.pki.containers import Contents, FoundCertificate
from handclasp.probe import parse
from handclasp.probe.credentials import Credential
from handclasp.probe.crls import RevocationLists
from handclasp.probe.examine import Options, examine
from handclasp.probe.loop import Driver
from handclasp.probe.report import Report, as_json
from handclasp.probe.target import StartTLS, Target
from handclasp.probe.trust import Anchors, Verifier
from handclasp.tlswire.offer import TLS12, TLS13

Json = dict[str, Any]
_VERSIONS = {"1.2": (TLS12,), "1.3": (TLS13,), None: (TLS13, TLS12)}
CredentialOf = Callable[[Target], Awaitable[Credential | None]]
"""The client certificate that is shown to an endpoint, None for none. May raise Refused."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks, in plain values.

    ``trust`` is system, own or any; with ``cacerts`` only those count. ``bundle`` is our own authority (PEM), found by
    ``probe``. ``credential`` names one of the store, or is ``auto``.
    """

    targets: tuple[str, ...]
    server_name: str | None = None
    starttls: str | None = None
    proxy: str | None = None
    proxy_protocol: int | None = None
    address: str | None = None
    version: str | None = None
    timeout: float = 10.0
    trust: str = "any"
    cacerts: tuple[str, ...] = ()
    crls: tuple[str, ...] = ()
    fetch_crls: bool = False
    credential: str | None = None
    trace: bool = False
    bundle: str | None = None
    concurrency: int = 50


async def probe(
    asked: Asked, state: StateDirectory, load: SettingsSource, files: Credential | None = None
) -> AsyncIterator[Json]:
    """Examine the targets side by side; the reports come in their order. ``files`` is a credential that was given as
    such. Raises InvalidSetting for a target, Refused for files and names that cannot be used."""
    targets_of(asked)  # what is wrong with them is said first
    if asked.trust in {"own", "any"} and not asked.cacerts:
        asked = replace(asked, bundle=await own_bundle(state, load, must=asked.trust == "own"))

    async def given(_: Target) -> Credential | None:
        return files

    with ExitStack() as stack:
        credential_of: CredentialOf = given
        if asked.credential is not None:
            # Not before it is needed: the store takes most of the time that the command needs to start.
            from handclasp.app.probe_credentials import stored

            credential_of = stack.enter_context(stored(asked.credential, state, load))
        async for report in _reports(asked, credential_of):
            yield as_json(report)


def targets_of(asked: Asked) -> list[Target]:
    """The endpoints. Raises InvalidSetting."""
    starttls = None if asked.starttls is None else StartTLS(asked.starttls)
    return [parse.target(text, server_name=asked.server_name, starttls=starttls) for text in asked.targets]


async def inspected(text: str) -> Json:
    """The certificates that a server sends, as those of a file are described. Refused where none came."""
    target = parse.target(text)
    with driver(1) as connections:
        report = await examine(
            connections, target, Verifier([anchors.system()]), Options(http="never", hybrid=True), ambient.now
        )
    read = [one.certificate for one in report.chain if one.certificate is not None]
    if not read:
        code = report.code
        why = report.findings[0].what if report.findings else "the server sent no certificate"
        raise Refused(code, f"{target.text} shows no certificate", why, CATALOGUE[code].remedy)
    faults = tuple(f"certificate {number + 1}: {one.fault}" for number, one in enumerate(report.chain) if one.fault)
    found = Contents(
        f"{report.tls_version} from {target.authority}", tuple(FoundCertificate(one) for one in read), faults=faults
    )
    return convert.described(found, whole=True)


@contextmanager
def driver(concurrency: int = 200, per_host: int = 0) -> Iterator[Driver]:
    """What makes the connections, for as long as the context lasts."""
    one = Driver(concurrency=concurrency, per_host=per_host, new_random=os.urandom)
    try:
        yield one
    finally:
        one.close()


def anchors_of(asked: Asked) -> list[Anchors]:
    """With whom the servers are verified."""
    crls = anchors.lists([Path(name) for name in asked.crls])
    if asked.cacerts:
        return [anchors.file(Path(name), crls) for name in asked.cacerts]
    found = [] if asked.trust == "own" else [anchors.system(crls)]
    if asked.bundle is not None:
        found.append(anchors.own(asked.bundle, crls))
    return found


async def _reports(asked: Asked, credential_of: CredentialOf) -> AsyncIterator[Report]:
    targets = targets_of(asked)
    options = Options(
        route=parse.route(proxy=asked.proxy, proxy_protocol=asked.proxy_protocol, address=asked.address),
        versions=_VERSIONS[asked.version],
        deadline=asked.timeout,
        hybrid=True,
        http="always",
        trace=asked.trace,
    )
    trusted = anchors_of(asked)
    verifier = Verifier(trusted, revocation=Revocation.REQUIRED if asked.crls else Revocation.GIVEN)
    gate = asyncio.Semaphore(asked.concurrency)
    lists = RevocationLists() if asked.fetch_crls else None

    async def one(target: Target) -> Report:
        async with gate:
            credential = await credential_of(target)
            judge = verifier if credential is None else verifier.for_credential(credential)
            return await examine(
                connections, target, judge, replace(options, credential=credential), ambient.now, lists
            )

    with driver(asked.concurrency) as connections:
        tasks = [asyncio.create_task(one(target)) for target in targets]
        try:
            for task in tasks:
                yield await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def own_bundle(state: StateDirectory, load: SettingsSource, *, must: bool) -> str | None:
    """Our own authority's, None where there is none; Refused where it ``must`` be there."""
    if not must and not state.exists():
        return None
    try:
        return str((await control.perform(state, load, "ca.bundle"))["bundle"])
    except Refused:
        if must:
            raise
        return None
