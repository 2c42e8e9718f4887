"""Backups, restoring them, and the ledger in PostgreSQL: what a person does, and what is there afterwards."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handclasp.testing.calls import call
from handclasp.testing.postgres import Postgres, postgres
from handclasp.testing.site import RunningSite, free_port, handclasp
from handclasp.testing.upstream import EchoApi

SECRET = {"HANDCLASP_BACKUP_PASSPHRASE": "staple battery horse correct"}


def settings(port: int, upstream: str) -> str:
    """One service that lets the caller `shop` in."""
    return f"""trust_domain: example.org
services:
  orders:
    listen: 127.0.0.1:{port}
    hosts: [localhost]
    upstream: {upstream}
    rules:
      - allow: spiffe://example.org/shop
"""


def certificates(directory: Path) -> list[dict[str, Any]]:
    """All certificates, without the days that are left."""
    found: list[dict[str, Any]] = json.loads(handclasp(directory, "cert", "list", "--json").stdout)["certificates"]
    return [{key: value for key, value in one.items() if key != "days_left"} for one in found]


@pytest.fixture
def api() -> Iterator[EchoApi]:
    """An API behind the gateway."""
    with EchoApi() as running:
        yield running


@pytest.fixture(scope="module")
def database_server() -> Iterator[Postgres]:
    """A PostgreSQL of this module's."""
    with postgres() as running:
        yield running


def test_a_backup_is_restored(tmp_path: Path, api: EchoApi) -> None:
    """Everything is there again, on another machine: certificates and their state, keys, audit log, and the callers
    that had access have it still, and those that were revoked do not."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    port = free_port()
    (here / "handclasp.yaml").write_text(settings(port, api.url))
    with RunningSite(here, environment=SECRET) as site:
        for name in ("shop", "stranger"):
            site.run("client", "add", name)
        site.run("client", "revoke", "stranger")
        said = site.run("backup", "../monday.tar").stdout
        assert said.startswith("Wrote ../monday.tar: ")
        kept = certificates(here)
    restored = handclasp(there, "restore", "../monday.tar", environment=SECRET).stdout
    assert "what was revoked since then, revoke again" in restored
    (there / "handclasp.yaml").write_text(settings(port, api.url))
    assert certificates(there) == kept
    handclasp(there, "audit", "verify")
    with RunningSite(there):
        files = here / ".handclasp" / "clients"
        assert call(port, files / "shop", files / "shop", "GET", "/").status == 200
        with pytest.raises(OSError, match=r"revoked|alert|reset|closed|EOF"):
            call(port, files / "shop", files / "stranger", "GET", "/")


def test_the_keys_in_a_backup_are_encrypted(tmp_path: Path) -> None:
    """Although those in the state directory are not; and without the passphrase nothing is restored."""
    (tmp_path / "handclasp.yaml").write_text(settings(1, "http://127.0.0.1:1"))
    handclasp(tmp_path, "client", "add", "shop")
    handclasp(tmp_path, "backup", "kept.tar", environment=SECRET)
    with tarfile.open(tmp_path / "kept.tar") as tar:
        names = sorted(tar.getnames())
        keys = [tar.extractfile(name) for name in names if name.startswith("keys/")]
        assert names == [
            *("handclasp.yaml", "keys/issuing.key", "keys/root.key", "ledger.db", "manifest.json", "manifest.mac")
        ]
        assert all(key is not None and b"BEGIN ENCRYPTED PRIVATE KEY" in key.read() for key in keys)
    assert (tmp_path / "kept.tar").stat().st_mode & 0o777 == 0o600
    for secret in ({}, {"HANDCLASP_BACKUP_PASSPHRASE": "another"}):
        (tmp_path / "new").mkdir(exist_ok=True)
        refused = handclasp(tmp_path / "new", "restore", "../kept.tar", check=False, environment=secret)
        assert refused.returncode == 2
        assert "KEY_PASSPHRASE" in refused.stderr
    handclasp(tmp_path / "new", "restore", "../kept.tar", environment=SECRET)


def test_a_backup_is_restored_only_where_nothing_is(tmp_path: Path) -> None:
    """An authority that is there is not touched."""
    (tmp_path / "handclasp.yaml").write_text(settings(1, "http://127.0.0.1:1"))
    handclasp(tmp_path, "client", "add", "shop")
    handclasp(tmp_path, "backup", "kept.tar", "--without-keys")
    refused = handclasp(tmp_path, "restore", "kept.tar", check=False, environment=SECRET)
    assert (refused.returncode, "STATE_FILE_EXISTS" in refused.stderr) == (2, True)


def manifest(file: Path, text: bytes) -> None:
    """A backup of nothing, with this manifest."""
    with tarfile.open(file, "w") as tar:
        for name, content in (("manifest.json", text), ("ledger.db", b"")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("damage", ["cut", "noise", "foreign", "compressed", "nested", "a key's name"])
def test_a_file_that_is_no_backup_is_refused(tmp_path: Path, damage: str) -> None:
    """Cut off, something else, or with a file that reaches out of its directory: nothing is made of it."""
    (tmp_path / "handclasp.yaml").write_text(settings(1, "http://127.0.0.1:1"))
    bad = tmp_path / "bad.tar"
    if damage == "noise":
        bad.write_bytes(b"no backup" * 1000)
    elif damage == "foreign":
        with tarfile.open(bad, "w") as tar:
            tar.add(tmp_path / "handclasp.yaml", arcname="../escaped.yaml")
    elif damage == "compressed":
        manifest(tmp_path / "plain.tar", b"{}")
        bad.write_bytes(lzma.compress((tmp_path / "plain.tar").read_bytes()))
    elif damage == "nested":
        manifest(bad, b"[" * 100_000)
    elif damage == "a key's name":
        manifest(bad, b'{"format": 1, "made_at": "", "keys": ["../../root"]}')
    else:
        handclasp(tmp_path, "client", "add", "shop")
        handclasp(tmp_path, "backup", "kept.tar", "--without-keys")
        bad.write_bytes((tmp_path / "kept.tar").read_bytes()[:20_000])
    (tmp_path / "new").mkdir()
    refused = handclasp(tmp_path / "new", "restore", "../bad.tar", check=False, environment=SECRET)
    assert (refused.returncode, "BACKUP_UNUSABLE" in refused.stderr) == (1, True)
    assert not (tmp_path / "escaped.yaml").exists()


def test_the_ledger_moves_to_postgresql(tmp_path: Path, api: EchoApi, database_server: Postgres) -> None:
    """Copied with a command, used by two gateways with the same keys: what one grants the other lets in, and what one
    revokes the other refuses within a second or two."""
    url = database_server.create("moved")
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    ports = free_port(), free_port()
    (first / "handclasp.yaml").write_text(settings(ports[0], api.url))
    handclasp(first, "client", "add", "shop")
    handclasp(first, "audit", "checkpoint")
    kept = certificates(first)
    handclasp(first, "database", "move", url)
    for directory, port in ((first, ports[0]), (second, ports[1])):
        (directory / "handclasp.yaml").write_text(settings(port, api.url) + f"database: {url}\n")
    assert certificates(first) == kept
    (second / ".handclasp" / "ca").mkdir(parents=True, mode=0o700)
    for key in (first / ".handclasp" / "ca").iterdir():
        (second / ".handclasp" / "ca" / key.name).write_bytes(key.read_bytes())
        (second / ".handclasp" / "ca" / key.name).chmod(0o600)
    with RunningSite(first) as one, RunningSite(second) as two:
        files = one.client("shop")
        assert [call(port, files, files, "GET", "/").status for port in ports] == [200, 200]
        two.run("client", "revoke", "shop")
        with pytest.raises(OSError, match=r"revoked|alert|reset|closed|EOF"):
            for _ in range(40):
                call(ports[0], files, files, "GET", "/?sleep=0.1")
        one.run("audit", "verify")
        # An authority whose key the other does not have yet: it waits for the key, and revocations do not.
        one.run("client", "add", "late")
        late = one.client("late")
        assert "waits for gateway/" in one.run("ca", "rotate", "start", "issuing").stdout
        one.run("client", "revoke", "late")
        with pytest.raises(OSError, match=r"revoked|alert|reset|closed|EOF"):
            for _ in range(40):
                call(ports[1], late, late, "GET", "/?sleep=0.1")
        key = one.state / "ca" / "issuing-2.key"
        (two.state / "ca" / key.name).write_bytes(key.read_bytes())
        deadline = time.monotonic() + 10
        while "everyone has confirmed it" not in one.run("ca", "rotate", "status").stdout:
            assert time.monotonic() < deadline
        # A rotation waits for both of them.
        points = "SELECT count(*) FROM confirmations WHERE point LIKE 'gateway/%'"
        assert database_server.sql(points, database="moved") == "2"
    # What is urgent is done in spite of broken settings, but not on the ledger from before the move.
    (first / "handclasp.yaml").write_text(settings(ports[0], api.url) + f"database: {url}\nnonsense: 1\n")
    assert handclasp(first, "client", "revoke", "shop", check=False).returncode == 2
    (first / "handclasp.yaml").write_text(settings(ports[0], api.url) + f"database: {url}\n")
    handclasp(first, "database", "move", "back.db")
    refused = handclasp(first, "database", "move", "back.db", check=False)
    assert (refused.returncode, "not empty" in refused.stderr) == (1, True)
