"""``python -m bench.probing_ours ROOTS``: our prober, as a process of its own whose CPU can be told from the rest.

Each line on standard input is PORT, how many probes, and then names, which take turns as the server's. Each is answered
with a JSON object. A probe is what `handclasp scan` makes of a target, up to the report: the chain is read, the proof
of its key checked, the empty Certificate sent, the alert read, the chain judged, and all of it put together.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.probing_sample import OUTCOMES, spent_us
from handclasp.pki import pem
from handclasp.probe.evidence import Attempt, Evidence
from handclasp.probe.examine import Examination, Options
from handclasp.probe.loop import Driver
from handclasp.probe.target import Target
from handclasp.probe.trust import Anchors, Verifier

CONCURRENCY = 200


def main() -> None:
    """Answer until there is nothing more to read."""
    roots = pem.load_chain(Path(sys.argv[1]).read_bytes())
    verifier = Verifier([Anchors("roots", lambda: roots)])
    driver = Driver(concurrency=CONCURRENCY, new_random=os.urandom)
    for line in sys.stdin:
        port, count, *names = line.split()
        print(json.dumps(probe(driver, verifier, int(port), int(count), names)), flush=True)


def probe(driver: Driver, verifier: Verifier, port: int, count: int, names: list[str]) -> dict[str, object]:
    """So many probes, and what they cost."""
    outcomes: Counter[str] = Counter()
    open_: dict[int, tuple[Attempt, Examination]] = {}
    again: list[Attempt] = []
    options = Options()

    def attempts() -> Iterator[Attempt | None]:
        for number in range(count):
            target = Target("", "127.0.0.1", port, server_name=names[number % len(names)])
            examination = Examination(target, options, verifier, datetime.now(UTC))
            attempt = examination.first()
            open_[id(attempt)] = attempt, examination
            yield attempt
        while open_:
            yield again.pop() if again else None

    def done(attempt: Attempt, evidence: Evidence) -> None:
        _, examination = open_.pop(id(attempt))
        following = examination.after(evidence)
        if following is not None:
            open_[id(following)] = following, examination
            again.append(following)
            return
        report = examination.report()
        alerts = ",".join(str(alert.number) for alert in report.alerts)
        trusted = "trusted" if report.trusted else "not trusted"
        outcomes[f"{report.code}, {report.client_certificate}, {trusted}, alert {alerts}"] += 1

    verified = verifier.verified
    before, began = spent_us(), time.perf_counter()
    driver.run(attempts(), done)
    seconds, used = time.perf_counter() - began, spent_us() - before
    return {
        "cpu_us": used / count,
        "seconds": seconds,
        "verified": verifier.verified - verified,
        OUTCOMES: dict(outcomes),
    }


if __name__ == "__main__":
    main()
