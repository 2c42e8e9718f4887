"""The gateway and the evaluator decide alike: generated rules and raw requests, through a real Envoy."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from handclasp.access.evaluate import Request, decide
from handclasp.app import settings as app_settings
from handclasp.app.grant import grant
from handclasp.app.operations import OPERATIONS
from handclasp.app.serve import Up, UpOptions, running
from handclasp.app.state import StateDirectory
from handclasp.pki.spiffe import SpiffeID, TrustDomain
from handclasp.testing.calls import Caller
from handclasp.testing.site import free_port
from handclasp.testing.upstream import EchoApi

TRUST_DOMAIN = TrustDomain.parse("example.org")
NAMES = ("a", "a/b", "a/b/c", "b", "ab")

segments = st.sampled_from(["a", "b", "v1", "a.b", "a%20b", "ab"])
path_patterns = st.lists(st.one_of(segments, st.sampled_from(["*", "**"])), max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
identity_patterns = st.lists(st.sampled_from(["a", "b", "c", "ab", "*", "**"]), min_size=1, max_size=3).map(
    lambda parts: "spiffe://example.org/" + "/".join(parts)
)
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PURGE"])
rules = st.lists(
    st.fixed_dictionaries(
        {"allow": st.lists(identity_patterns, min_size=1, max_size=2)},
        optional={
            "methods": st.lists(methods, min_size=1, max_size=3, unique=True),
            "paths": st.lists(path_patterns, min_size=1, max_size=3),
        },
    ),
    max_size=5,
)
WRITTEN = (
    "a b v1 a.b ab .. . %2e%2e %2E .%2e %61 %62 %2f %2F %5c %5C \\ %00 %20 % %2 %zz ..;x .; %2e%2e;x %2e; a;b %252e ~"
    ' # * ** %c3%a9 A + "'
)
pieces = st.sampled_from([*WRITTEN.split(), ""])
targets = st.builds(
    lambda parts, query: "/" + "/".join(parts) + query,
    st.lists(pieces, max_size=5),
    st.sampled_from(["", "?", "?a=/../b", "?%2f", "?x=%00", "?a?b", "?#"]),
)
requests = st.lists(st.tuples(st.sampled_from(NAMES), methods, targets), min_size=1, max_size=12)


class Bench:
    """A gateway in this process, in a loop of its own thread, whose rules can be changed in milliseconds."""

    def __init__(self, directory: Path, api: EchoApi) -> None:
        self.directory = directory
        self.port = free_port()
        self._api = api
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.up: Up | None = None
        self._connections: dict[str, Caller] = {}

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def text(self, written: list[dict[str, Any]]) -> str:
        """Settings with these rules; JSON is YAML."""
        import json

        service = {
            "listen": f"127.0.0.1:{self.port}",
            "hosts": ["localhost"],
            "upstream": self._api.url,
            "rules": written,
        }
        return json.dumps({"trust_domain": "example.org", "services": {"s": service}})

    async def start(self) -> None:
        """Bring the gateway up, with a certificate for each name."""
        config = self.directory / "handclasp.yaml"
        config.write_text(self.text([]))
        self._context = running(UpOptions(StateDirectory(self.directory / "state"), config), lambda text: None)
        self.up = await self._context.__aenter__()

        async def perform(operation: str, **arguments: object) -> dict[str, Any]:
            assert self.up is not None
            return await OPERATIONS[operation](self.up.site, **arguments)

        for name in NAMES:
            await grant(perform, SpiffeID.named(TRUST_DOMAIN, name), self.files(name))

    async def stop(self) -> None:
        """Take it down."""
        await self._context.__aexit__(None, None, None)

    def files(self, name: str) -> Path:
        """A caller's files."""
        return self.directory / "clients" / name.replace("/", "+")

    def change(self, written: list[dict[str, Any]]) -> app_settings.Settings:
        """Make these the rules."""
        assert self.up is not None
        new = app_settings.parse(self.text(written), "handclasp.yaml")
        self.do(self.up.gateway.change(new, lambda text: None))
        return new

    def send(self, name: str, method: str, target: str) -> int:
        """The status of one raw request on the caller's kept connection."""
        caller = self._connections.pop(name, None)
        if caller is None:
            caller = Caller(self.port, self.files(name), self.files(name))
        answer = caller.send(method, target)
        if answer.headers.get("connection") == "close":
            caller.close()
        else:
            self._connections[name] = caller
        return answer.status

    def close(self) -> None:
        """End everything."""
        for caller in self._connections.values():
            caller.close()
        self.do(self.stop())
        self.do(asyncio.sleep(0.1))  # what was cancelled has its say
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One gateway for all examples."""
    with EchoApi() as api:
        bench = Bench(tmp_path_factory.mktemp("rules"), api)
        bench.do(bench.start())
        try:
            yield bench
        finally:
            bench.close()


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(written=rules, sent=requests)
def test_gateway_and_evaluator_decide_alike(
    bench: Bench, written: list[dict[str, Any]], sent: list[tuple[str, str, str]]
) -> None:
    """For any rules and any raw request, Envoy answers 200, 403 or 400 exactly where the evaluator says so."""
    policy = bench.change(written).services[0].policy
    for name, method, target in sent:
        decision = decide(policy, Request(SpiffeID.named(TRUST_DOMAIN, name), method, target))
        expected = 200 if decision.allowed else 403 if decision.path is not None else 400
        note(f"{name} {method} {target!r}: {decision}")
        assert (name, method, target, bench.send(name, method, target)) == (name, method, target, expected)


def test_the_rule_that_decides_is_the_rule_that_is_logged(bench: Bench) -> None:
    """The first rule of the file that matches is named by the evaluator and in the log, past the ninth too."""
    written = [{"allow": f"spiffe://example.org/x{n}"} for n in range(11)] + [
        {"allow": "spiffe://example.org/a"},
        {"allow": "spiffe://example.org/**"},
    ]
    policy = bench.change(written).services[0].policy
    decision = decide(policy, Request(SpiffeID.named(TRUST_DOMAIN, "a"), "GET", "/logged"))
    assert bench.send("a", "GET", "/logged") == 200
    assert bench.do(_rule_of(bench, "/logged")) == decision.rule == 12


async def _rule_of(bench: Bench, path: str) -> int | None:
    from handclasp.app import logs

    for _ in range(100):
        for record in logs.records(bench.directory / "state"):
            if record.path == path:
                return record.rule
        await asyncio.sleep(0.05)
    raise AssertionError("the request was not logged")
