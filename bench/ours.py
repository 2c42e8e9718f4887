"""Handclasp's own data path, as `up` runs it but on one worker thread: the compiled intent, served by our ADS to the
Envoy that we supervise. (`up` has a worker for each core; CPU for each request can only be compared on one.)"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from bench.handwritten import Material
from bench.load import Caller, gateways_cpu, on_cpu
from handclasp.app import ambient, settings
from handclasp.app.server_certificates import server_certificate
from handclasp.app.site import open_site
from handclasp.app.state import StateDirectory
from handclasp.authority.crl import current_crl, deny_set
from handclasp.dataplane.ads import AdsServer
from handclasp.dataplane.compile import compile_intent
from handclasp.dataplane.envoy import ADS_SOCKET, Envoy, Exit
from handclasp.dataplane.intent import Fingerprint256, Intent, Service, Upstream
from handclasp.dataplane.routes import CLIENT_CERT
from handclasp.dataplane.snapshot import LISTENER, Snapshot
from handclasp.pki import pem

FIRST, LAST, REVOKED = "first", "last", "gone"


def handclasp() -> list[str]:
    """The command beside this interpreter."""
    script = Path(sys.executable).parent / "handclasp"
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-m", "handclasp"]


def settings_text(port: int, upstream: int) -> str:
    """One service with ten rules. All ten cover the request's method and path, so for the caller of the tenth each
    rule before it is read to the end."""
    callers = [FIRST, *(f"team-{n}/*" for n in range(2, 10)), LAST]
    lines = [
        "trust_domain: bench.internal",
        "services:",
        "  api:",
        f"    listen: 127.0.0.1:{port}",
        "    hosts: [localhost]",
        f"    upstream: http://127.0.0.1:{upstream}",
        "    rules:",
    ]
    for caller in callers:
        lines += [f"      - allow: spiffe://bench.internal/{caller}", "        methods: [GET, POST]"]
        lines += ["        paths: [/v1/orders/**]"]
    return "\n".join(lines) + "\n"


def establish(directory: Path, port: int, upstream: int) -> dict[str, Caller]:
    """An authority with two callers and a third that is revoked, so that the deny map is at work."""
    (directory / "handclasp.yaml").write_text(settings_text(port, upstream))
    for arguments in (
        *(("client", "add", name) for name in (FIRST, LAST, REVOKED)),
        ("client", "revoke", REVOKED),
    ):
        subprocess.run([*handclasp(), *arguments], cwd=directory, check=True, capture_output=True)
    state = directory / ".handclasp"
    return {name: Caller(state / "clients" / name) for name in (FIRST, LAST)}


async def intent(directory: Path) -> Intent:
    """What `up` would compile in this directory."""
    current = settings.load(directory / "handclasp.yaml")
    state = StateDirectory(directory / ".handclasp")
    with state.lock():
        async with open_site(state, current) as site:
            now = ambient.now()
            crl = await current_crl(site.authority, site.authority.hierarchy.clients, now=now)
            return Intent(
                trust_domain=current.trust_domain,
                services=tuple(
                    Service(
                        name=s.name,
                        address=str(s.listen.address),
                        port=s.listen.port,
                        hosts=tuple(str(host) for host in s.hosts),
                        upstream=Upstream(s.upstream.scheme, str(s.upstream.host), s.upstream.port),
                        policy=s.policy,
                    )
                    for s in current.services
                ),
                certificates={s.name: (await server_certificate(site, s)).pair for s in current.services},
                client_authorities=pem.pem(site.authority.hierarchy.clients.certificate).decode(),
                crl=crl.public_bytes(Encoding.PEM).decode(),
                revoked=frozenset(Fingerprint256(f) for f in await deny_set(site.authority, now=now)),
            )


def compiled(wanted: Intent) -> Snapshot:
    """The resources; raises AssertionError where the benchmark's own assumptions fail."""
    assert len(wanted.services[0].policy.rules) == 10
    assert wanted.revoked, "without a revoked caller the deny map would be empty"
    return compile_intent(wanted)


def material(wanted: Intent, snapshot: Snapshot) -> Material:
    """What the hand-written peers need of ours."""
    pair = wanted.certificates[wanted.services[0].name]
    return Material(
        chain=pair.chain,
        key=pair.key,
        authorities=wanted.client_authorities,
        crl=wanted.crl,
        trust_domain=str(wanted.trust_domain),
        client_cert_filter=next(f for f in http_manager(snapshot)["http_filters"] if f["name"] == CLIENT_CERT),
    )


def http_manager(snapshot: Snapshot) -> dict[str, Any]:
    """The typed configuration of the one connection manager."""
    (listener,) = snapshot.resources[LISTENER].values()
    manager: dict[str, Any] = listener.body["filter_chains"][0]["filters"][-1]["typed_config"]
    return manager


@asynccontextmanager
async def running(directory: Path, snapshot: Snapshot) -> AsyncIterator[int]:
    """Our Envoy on this snapshot, ready; yields its process id."""
    for part in ("run", "log"):
        (directory / part).mkdir(parents=True)
    ads = AdsServer(directory / ADS_SOCKET, snapshot)
    envoy = Envoy(directory, _died, concurrency=1)
    await ads.start()
    try:
        with on_cpu(gateways_cpu()):
            await envoy.start()
        await asyncio.wait_for(asyncio.gather(ads.confirmed(), envoy.ready(20)), 25)
        assert envoy.pid is not None
        yield envoy.pid
    finally:
        await envoy.stop(drain=0)
        await ads.stop()


def _died(how: Exit, backoff: float) -> None:
    raise RuntimeError(f"Envoy {how} in the middle of a measurement (back-off {backoff} s)")
