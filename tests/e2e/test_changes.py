"""Changes while it runs: live in under a second, no request dropped; a bad file changes nothing."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from handclasp.testing.calls import Caller, call
from handclasp.testing.upstream import EchoApi

if TYPE_CHECKING:
    from tests.e2e.conftest import Laboratory


class Load:
    """Callers that send one request after the other on kept connections, and count what comes back."""

    def __init__(self, lab: Laboratory, callers: int = 3, target: str = "/?sleep=0.01") -> None:
        self._lab, self._target = lab, target
        self._stop = threading.Event()
        self.statuses: list[int] = []
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(callers)]

    def _run(self) -> None:
        caller = None
        while not self._stop.is_set():
            try:
                caller = caller or Caller(self._lab.alone_port, self._lab.trust, self._lab.files("all"))
                answer = caller.send("GET", self._target)
                self.statuses.append(answer.status)
                if answer.headers.get("connection") == "close":
                    caller.close()
                    caller = None
            except Exception as error:
                self.errors.append(repr(error))
                caller = None
        if caller is not None:
            caller.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_a_change_of_rules_and_upstream_drops_no_request(own_lab: Laboratory) -> None:
    """Under load, twenty changes of rules and upstream: every request is answered 200 (D17)."""
    with EchoApi() as second, Load(own_lab) as load:
        for turn in range(20):
            text = own_lab.settings
            if turn % 2:
                text = text.replace(f"upstream: {own_lab.api.url}", f"upstream: {second.url}")
            own_lab.site.change(text + f"      - allow: spiffe://example.org/more{turn}\n")
    assert (set(load.statuses), load.errors, len(load.statuses) > 50) == ({200}, [], True)


def test_a_slow_request_outlives_a_change_of_its_upstream(own_lab: Laboratory) -> None:
    """A request that waits for the old API gets its answer from it."""
    with EchoApi() as second:
        statuses: list[int] = []

        def slow() -> None:
            statuses.append(call(own_lab.alone_port, own_lab.trust, own_lab.files("all"), "GET", "/?sleep=1").status)

        thread = threading.Thread(target=slow)
        thread.start()
        time.sleep(0.3)
        own_lab.site.change(own_lab.settings.replace(own_lab.api.url, second.url))
        answer = call(own_lab.alone_port, own_lab.trust, own_lab.files("all"), "GET", "/")
        thread.join()
        assert (statuses, answer.json["api"]) == ([200], second.port)


def test_a_change_is_live_in_under_a_second(own_lab: Laboratory) -> None:
    """From the moment the file is written: a new rule lets in, and without it the open connection is refused."""
    files = own_lab.files("stranger")
    granted = own_lab.settings + "      - allow: spiffe://example.org/stranger\n"
    with Caller(own_lab.alone_port, own_lab.trust, files) as caller:
        for text, status in ((granted, 200), (own_lab.settings, 403)):
            (own_lab.site.directory / "handclasp.yaml").write_text(text)
            began = time.monotonic()
            while caller.send("GET", "/").status != status:
                assert time.monotonic() - began < 1


def test_a_bad_file_changes_nothing_and_is_reported(own_lab: Laboratory) -> None:
    """File, line, column, what is wrong and what is allowed; the gateway goes on; the next good file is taken."""
    bad = own_lab.settings.replace("allow: spiffe://example.org/audit/*", "allow: audit")
    line = 1 + bad.splitlines().index("      - allow: audit")
    own_lab.site.change(bad)
    assert f"handclasp.yaml:{line}:16: services.orders.rules[1].allow" in own_lab.site.output
    assert call(own_lab.alone_port, own_lab.trust, own_lab.files("all"), "GET", "/").status == 200
    own_lab.site.change(own_lab.settings + "      - allow: spiffe://example.org/stranger\n")
    assert call(own_lab.alone_port, own_lab.trust, own_lab.files("stranger"), "GET", "/").status == 200


def test_a_taken_port_changes_nothing(own_lab: Laboratory) -> None:
    """A new service on a port that another program has is refused, and the old settings stay."""
    own_lab.site.change(own_lab.settings.replace(str(own_lab.alone_port), str(own_lab.other_api.port)))
    assert "another program listens there" in own_lab.site.output
    assert call(own_lab.alone_port, own_lab.trust, own_lab.files("all"), "GET", "/").status == 200


def test_a_service_comes_and_goes(own_lab: Laboratory) -> None:
    """A service on a port of its own appears without a word about others, and leaves with one about itself."""
    from handclasp.testing.site import free_port

    port = free_port()
    more = (
        f"  more:\n    listen: 127.0.0.1:{port}\n    hosts: [localhost]\n    upstream: {own_lab.api.url}\n"
        "    rules:\n      - allow: spiffe://example.org/all\n"
    )
    own_lab.site.change(own_lab.settings + more)
    assert call(port, own_lab.trust, own_lab.files("all"), "GET", "/").status == 200
    assert "changes" not in own_lab.site.output
    own_lab.site.change(own_lab.settings)
    assert f"The listener 127.0.0.1:{port} changes" in own_lab.site.output
    assert call(own_lab.alone_port, own_lab.trust, own_lab.files("all"), "GET", "/").status == 200


def test_the_trust_domain_cannot_change_under_a_running_authority(own_lab: Laboratory) -> None:
    """Another trust domain is another authority: said, and nothing changes."""
    own_lab.site.change(own_lab.settings.replace("example.org", "example.net"))
    assert "The trust domain cannot be changed" in own_lab.site.output
    assert call(own_lab.alone_port, own_lab.trust, own_lab.files("all"), "GET", "/").status == 200
