"""How often the doctor is right: every fault on every product that can show it, from the client's side alone and with
the server's files at hand; and whether what its verdict asks for makes the handshake pass.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from handclasp.app import doctoring, probing
from handclasp.doctor import endpoint
from handclasp.doctor.diagnosis import Diagnosis
from handclasp.testing.faults import Fault, Scene, Workshop, mended
from handclasp.testing.faulty import faulty
from handclasp.testing.servers import Case, Client, Product, ServerAt, Versions, serving

_AT_ONCE: Final = 8
_SILENCE: Final = 1.5  # seconds that a silent server is waited for


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault on one port. ``product`` is empty for those that need none."""

    fault: Fault
    product: str
    versions: Versions
    scene: Scene

    def __str__(self) -> str:
        return f"{self.fault.name} ({self.product or 'no product'}, TLS {self.versions})"


@dataclass(frozen=True, slots=True)
class Result:
    """What the doctor said of it. ``whole``: with the server's files at hand. ``passes``: after its fix an independent
    client (curl) is served; None where that was not tried."""

    trial: Trial
    whole: bool
    diagnosis: Diagnosis
    seconds: float
    passes: bool | None = None

    @property
    def first(self) -> bool:
        return self.diagnosis.code is self.trial.fault.code

    @property
    def rank(self) -> int | None:
        """The place of the right code among the candidates, from 1."""
        codes = [one.code for one in self.diagnosis.candidates]
        return codes.index(self.trial.fault.code) + 1 if self.trial.fault.code in codes else None


def trials(shop: Workshop, product: Product | None, faults: Sequence[Fault]) -> Iterator[Trial]:
    """Those that this product can show; None: those that need no product."""
    for fault in faults:
        for versions in fault.versions:
            scene = fault.make(shop, shop.good(versions))
            if product is None:
                if scene.raw:
                    yield Trial(fault, "", versions, scene)
            elif not scene.raw and product.can(scene.case) and (not fault.products or product.name in fault.products):
                yield Trial(fault, product.name, versions, scene)


def run(
    shop: Workshop, product: Product | None, tried: Sequence[Trial], *, kept: Path | None = None, mend: bool = False
) -> list[Result]:
    """Examine all of them, twice each: alone, and with the server's files."""
    scenes = [one.scene for one in tried]
    with ExitStack() as stack:
        at = _started(stack, shop, product, scenes, kept)
        results = asyncio.run(_examined(tried, at))
    if not mend:
        return results
    after = [mended(shop, one.trial.scene, one.diagnosis.code) for one in results]
    with ExitStack() as stack:
        at = _started(stack, shop, product, after, kept)
        return [
            replace(result, passes=_passes(scene, place))
            for result, scene, place in zip(results, after, at, strict=True)
        ]


def _started(
    stack: ExitStack, shop: Workshop, product: Product | None, scenes: Sequence[Scene], kept: Path | None
) -> list[tuple[str, int]]:
    """Where each scene's server is."""
    cases = list(dict.fromkeys(one.case for one in scenes if not one.raw))
    servers: dict[Case, ServerAt] = {}
    if product is not None and cases:
        servers = dict(stack.enter_context(serving(product, shop.material, cases, kept=kept)))
    elif cases:
        from handclasp.testing.servers import NGINX

        servers = dict(stack.enter_context(serving(NGINX, shop.material, cases, kept=kept)))
    return [stack.enter_context(faulty(one.raw)) if one.raw else (one.host, servers[one.case].port) for one in scenes]


async def _examined(tried: Sequence[Trial], at: Sequence[tuple[str, int]]) -> list[Result]:
    gate = asyncio.Semaphore(_AT_ONCE)
    with probing.driver(_AT_ONCE) as connections:

        async def one(trial: Trial, place: tuple[str, int], whole: bool) -> Result:
            async with gate:
                began = time.monotonic()
                question = doctoring.question_of(_asked(trial, place, whole=whole))
                found = await endpoint.examine(connections, question, lambda: datetime.now(UTC) + trial.scene.ahead)
                return Result(trial, whole, found, time.monotonic() - began)

        return list(
            await asyncio.gather(
                *(one(*pair, whole) for pair in zip(tried, at, strict=True) for whole in (False, True))
            )
        )


def _asked(trial: Trial, place: tuple[str, int], *, whole: bool) -> doctoring.Asked:
    scene = trial.scene
    crl = (str(scene.case.crl),) if whole and scene.case.crl is not None else ()
    return doctoring.Asked(
        target=f"https://{place[0]}:{place[1]}/",
        address="127.0.0.1" if place[0] == "localhost" else None,
        cert=None if scene.cert is None else str(scene.cert),
        key=None if scene.key is None else str(scene.key),
        cacerts=(str(scene.cacert),),
        bundles=(str(scene.bundle),) if whole else (),
        crls=crl,
        version=scene.version,
        timeout=_SILENCE if scene.raw == "silent" else 10.0,
    )


def _passes(scene: Scene, place: tuple[str, int]) -> bool:
    """Whether curl, with the client's files, is served; and nobody is without, where it must be so."""
    if scene.raw or scene.ahead:
        return False
    arguments = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-m", "10", "--cacert", str(scene.cacert)]
    arguments += ["--resolve", f"{place[0]}:{place[1]}:127.0.0.1", f"https://{place[0]}:{place[1]}/"]
    if scene.version is not None:
        arguments += ["--tlsv1.2", "--tls-max", "1.2"] if scene.version == "1.2" else ["--tlsv1.3"]
    stranger = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if scene.cert is not None:
        arguments += ["--cert", str(scene.cert), "--key", str(scene.key)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    enforced = scene.case.client is not Client.REQUIRED or stranger.returncode != 0 or stranger.stdout != "200"
    return done.returncode == 0 and done.stdout == "200" and enforced


def right(results: Sequence[Result], *, whole: bool) -> tuple[int, int, int, int]:
    """How many there were; of these the right code first, in the first three, and among the candidates at all."""
    counted = [one for one in results if one.whole is whole]
    ranks = [one.rank for one in counted]
    return (
        len(counted),
        sum(1 for one in counted if one.first),
        sum(1 for rank in ranks if rank is not None and rank <= 3),
        sum(1 for rank in ranks if rank is not None),
    )
