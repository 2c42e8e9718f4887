"""A complete rotation of the root and of the issuing authority under live callers: no request is lost."""

from __future__ import annotations

import shutil
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from handclasp.app.state import BUNDLE
from handclasp.pki.pem import load_chain
from handclasp.testing.calls import Caller, call

if TYPE_CHECKING:
    from tests.e2e.conftest import Laboratory


class Load:
    """Live callers: one on a kept connection, one with a connection for every request, and one like it that verifies
    the gateway with the trust bundle that it had in the beginning, for as long as that is to hold."""

    def __init__(self, lab: Laboratory, old_trust: Path) -> None:
        self._lab, self._old_trust = lab, old_trust
        self._stop = threading.Event()
        self._stop_old = threading.Event()
        self.statuses: dict[str, int] = {}
        self.errors: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=("kept",)),
            threading.Thread(target=self._run, args=("fresh",)),
            threading.Thread(target=self._run, args=("old bundle",)),
        ]

    def _run(self, kind: str) -> None:
        caller = None
        trust = self._old_trust if kind == "old bundle" else self._lab.trust
        stop = self._stop_old if kind == "old bundle" else self._stop
        while not stop.is_set():
            try:
                caller = caller or Caller(self._lab.alone_port, trust, self._lab.files("all"))
                answer = caller.send("GET", "/?sleep=0.01")
                self.statuses[f"{kind} {answer.status}"] = self.statuses.get(f"{kind} {answer.status}", 0) + 1
                if kind != "kept" or answer.headers.get("connection") == "close":
                    caller.close()
                    caller = None
            except Exception as error:
                self.errors.append(f"{kind}: {error!r}")
                caller = None
        if caller is not None:
            caller.close()

    def forget_the_old_bundle(self) -> None:
        """The caller that knows only the old root goes: its time is over."""
        self._stop_old.set()
        self._threads[2].join()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._stop_old.set()
        for thread in self._threads:
            thread.join()


CALLERS = ("checkout", "audit/nightly", "all", "stranger")


def test_a_root_rotation_loses_no_request(own_lab: Laboratory, tmp_path: Path) -> None:
    """Publish, activate, re-issue, retire: it waits for every caller by name, and callers with the old bundle, the new
    one or both are answered 200 throughout, until the old root leaves."""
    site = own_lab.site
    old = tmp_path / "old"
    shutil.copytree(own_lab.trust, old)
    with Load(own_lab, old) as load:
        started = site.json("ca", "rotate", "start", "root")
        assert (started["step"], started["new"], started["old"]) == ("activate", ["root-2"], ["root"])
        assert len(load_chain(site.run("ca", "bundle").stdout.encode())) == 2

        activated = site.json("ca", "rotate", "advance")
        holders = sorted(f"spiffe://example.org/{name}" for name in CALLERS)
        assert (activated["step"], activated["waiting_for"]) == ("re-issue", holders)
        with pytest.raises(AssertionError, match="ROTATION_NOT_CONFIRMED") as refused:
            site.run("ca", "rotate", "advance")
        assert all(holder in str(refused.value) for holder in holders)

        time.sleep(0.3)  # the callers meet the new chain
        for name in CALLERS:
            site.run("client", "renew", name)
        assert len(load_chain((own_lab.trust / BUNDLE).read_bytes())) == 2
        load.forget_the_old_bundle()
        assert site.json("ca", "rotate", "advance")["step"] == "none"
        time.sleep(0.3)
    assert load.errors == []
    assert set(load.statuses) == {"kept 200", "fresh 200", "old bundle 200"}
    assert min(load.statuses.values()) > 10

    states = {one["name"]: one["state"] for one in site.json("ca", "show")["authorities"]}
    assert states == {"root": "retired", "issuing": "active", "root-2": "active"}
    assert len(load_chain(site.run("ca", "bundle").stdout.encode())) == 1
    with pytest.raises(ssl.SSLCertVerificationError):
        call(own_lab.alone_port, old, own_lab.files("all"), "GET", "/")


def test_a_rotation_of_the_issuing_authority_loses_no_request(own_lab: Laboratory, tmp_path: Path) -> None:
    """The gateway takes callers of both authorities, renews its own certificates by itself, and the old authority goes
    when no caller depends on it; who was not renewed by then is refused."""
    site = own_lab.site
    old = tmp_path / "old"
    shutil.copytree(own_lab.files("stranger"), old)
    with Load(own_lab, own_lab.trust) as load:
        assert site.json("ca", "rotate", "start", "issuing")["step"] == "activate"
        activated = site.json("ca", "rotate", "advance")
        holders = sorted(f"spiffe://example.org/{name}" for name in CALLERS)
        assert (activated["step"], activated["waiting_for"]) == ("re-issue", holders)
        for name in CALLERS[:-1]:
            site.run("client", "renew", name)
        assert site.json("ca", "rotate", "status")["waiting_for"] == ["spiffe://example.org/stranger"]
        site.run("ca", "rotate", "advance", "--without", "spiffe://example.org/stranger")
        time.sleep(0.3)
    assert load.errors == []
    assert set(load.statuses) == {"kept 200", "fresh 200", "old bundle 200"}
    with pytest.raises((ssl.SSLError, ConnectionError)):
        call(own_lab.alone_port, own_lab.trust, old, "GET", "/")
    site.run("client", "renew", "stranger")
    assert call(own_lab.alone_port, own_lab.trust, own_lab.files("stranger"), "GET", "/").status == 403


def test_an_abandoned_rotation_leaves_everything_as_it_was(own_lab: Laboratory) -> None:
    """Before it signs, the new authority can be withdrawn."""
    site = own_lab.site
    bundle = site.run("ca", "bundle").stdout
    site.run("ca", "rotate", "start", "root")
    assert site.json("ca", "rotate", "abandon")["step"] == "none"
    assert site.run("ca", "bundle").stdout == bundle
    assert call(own_lab.alone_port, own_lab.trust, own_lab.files("all"), "GET", "/").status == 200
