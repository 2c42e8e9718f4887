"""``python -m bench``: measure, print one table, write bench/out/result.json."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import cost, explain, handwritten, issuance, monitoring, ours, probing, report, revocation, search, startup
from bench.load import Load, Programs, Unavailable, compile_programs, upstream
from bench.rounds import Result, Target, compare
from handclasp.dataplane.snapshot import Snapshot
from handclasp.testing.site import free_port

_OUT = Path(__file__).parent / "out"
_PARTS = ("startup", "load", "issuance", "revocation", "search", "probing", "monitoring", "cost")
_CERTIFICATES = 1_000_000
_LIMIT = 1.10
_ROUNDS = 25  # many short ones: a disturbance spoils a round, and the median does not see it
_TENTH, _FIRST, _PEER, _BARE = "Handclasp, tenth rule", "Handclasp, first rule", "hand-written Envoy", "bare Envoy"
_KEEP = Load("keep", "tls13", 2_000)
_FULL_13, _FULL_12 = Load("full", "tls13", 250), Load("full", "tls12", 250)


def main() -> int:
    """Run what the command line asks for; the exit status does not judge the numbers."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--rounds",
        type=int,
        help=f"how often each gateway and each issuer is measured (default: {_ROUNDS} and {issuance.ROUNDS})",
    )
    parser.add_argument("--only", choices=_PARTS, help="one of the parts")
    parser.add_argument("--explain", action="store_true", help="instead: what each part of the data path costs")
    options = parser.parse_args()
    if not sys.platform.startswith("linux"):
        print("The benchmarks read /proc and need Linux.")
        return 1
    _OUT.mkdir(exist_ok=True)
    load_before = os.getloadavg()[0]
    if load_before > 0.5:
        print(f"Something else is running (load {load_before:.1f}): the numbers will be noisy.\n")
    waited, results, skipped, issued = None, {}, None, None
    parts = {"load"} if options.explain else {options.only} if options.only else {*_PARTS}
    if "startup" in parts:
        waited = startup.measure(help_runs=10, up_runs=5)
    if "load" in parts:
        try:
            results = asyncio.run(_loads(options.rounds or _ROUNDS, explained=options.explain))
        except Unavailable as missing:
            skipped = str(missing)
    if "issuance" in parts:
        issued = asyncio.run(issuance.run(_OUT, options.rounds or issuance.ROUNDS))
    revoked = revocation.measure() if "revocation" in parts else None
    searched = search.measure(_CERTIFICATES) if "search" in parts else None
    probed = asyncio.run(probing.run(_OUT, options.rounds or probing.ROUNDS)) if "probing" in parts else None
    watched = monitoring.run(_OUT) if "monitoring" in parts else None
    costs = cost.run(options.rounds or cost.ROUNDS) if "cost" in parts else None
    rows = report.startup_rows(waited) if waited else []
    for title, result in results.items():
        rows += report.load_rows(title, result, _PEER, _LIMIT)
    rows += issued.rows() if issued else []
    rows += report.revocation_rows(revoked) if revoked else []
    rows += report.search_rows(searched) if searched else []
    rows += probed.rows() if probed else []
    if rows:
        print(report.table(rows))
    for measured in (issued, probed):
        if measured:
            print("", *measured.notes(), sep="\n")
    if watched:
        print("", *watched.lines(), sep="\n")
    if costs:
        print("", *costs.lines(), sep="\n")
    if skipped:
        print(f"\nThe CPU of handshakes and requests was not measured: {skipped}.")
    result_file = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": [load_before, os.getloadavg()[0]],
        "skipped": skipped,
        **report.as_json(rows, results, waited),
        "issuance": issued.as_json() if issued else None,
        "revocation": revoked,
        "search": searched,
        "probing": probed.as_json() if probed else None,
        "monitoring": watched.as_json() if watched else None,
        "cost": costs.as_json() if costs else None,
    }
    name = "explain.json" if options.explain else "result.json"
    (_OUT / name).write_text(json.dumps(result_file, indent=1) + "\n")
    print(f"\nEach sample is in bench/out/{name}.")
    return 0


async def _loads(rounds: int, *, explained: bool) -> dict[str, Result]:
    with TemporaryDirectory(prefix="handclasp-bench-") as name:
        directory = Path(name)
        programs = compile_programs(directory)
        with upstream(programs.upstream) as api:
            async with AsyncExitStack() as stack:
                if explained:
                    return await _explain(stack, programs, directory, api, rounds)
                return await _compare(stack, programs, directory, api, rounds)


async def _compare(
    stack: AsyncExitStack, programs: Programs, directory: Path, api: int, rounds: int
) -> dict[str, Result]:
    port = free_port()
    callers = ours.establish(directory, port, api)
    wanted = await ours.intent(directory)
    snapshot = ours.compiled(wanted)
    material = ours.material(wanted, snapshot)
    pid = await stack.enter_async_context(ours.running(directory / "ours", snapshot))
    tenth = Target(_TENTH, pid, port, callers[ours.LAST])
    first = Target(_FIRST, pid, port, callers[ours.FIRST])
    peers = []
    for name, write in ((_PEER, handwritten.guarded), (_BARE, handwritten.bare)):
        own = free_port()
        config = write(material, own, api)
        running = handwritten.running(directory / name.replace(" ", "-"), config)
        peers.append(Target(name, await stack.enter_async_context(running), own, callers[ours.LAST]))
    return {
        "keep-alive request": await compare(programs, [tenth, first, *peers], _KEEP, rounds),
        "TLS 1.3 handshake": await compare(programs, [tenth, *peers], _FULL_13, rounds),
        "TLS 1.2 handshake": await compare(programs, [tenth, *peers], _FULL_12, rounds),
    }


async def _explain(
    stack: AsyncExitStack, programs: Programs, directory: Path, api: int, rounds: int
) -> dict[str, Result]:
    """Each variant on a port of its own, so each is compiled from settings of its own."""
    callers = ours.establish(directory, free_port(), api)
    targets: list[Target] = []
    for name in ("whole", *explain.CHANGES):
        port = free_port()
        (directory / "handclasp.yaml").write_text(ours.settings_text(port, api))
        wanted = await ours.intent(directory)
        snapshot: Snapshot = ours.compiled(wanted)
        material = ours.material(wanted, snapshot)
        changed = snapshot if name == "whole" else explain.edited(snapshot, explain.CHANGES[name])
        running = ours.running(directory / f"variant-{len(targets)}", changed)
        pid = await stack.enter_async_context(running)
        targets.append(Target(f"Handclasp, {name}", pid, port, callers[ours.LAST]))
    own = free_port()
    peer = handwritten.running(directory / "peer", handwritten.guarded(material, own, api))
    targets.append(Target(_PEER, await stack.enter_async_context(peer), own, callers[ours.LAST]))
    return {
        "keep-alive request": await compare(programs, targets, _KEEP, rounds),
        "TLS 1.3 handshake": await compare(programs, targets, _FULL_13, rounds),
    }


if __name__ == "__main__":
    sys.exit(main())
