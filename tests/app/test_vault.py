"""A state directory opened: which database, which keys, whose chain, and when a person is asked."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from handclasp.app.authority_settings import KeysSettings
from handclasp.app.state import StateDirectory
from handclasp.app.vault import DATABASE, Vault, custody_of, open_vault, target_of
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.store.keyfiles import KeyFiles
from handclasp.testing.postgres import Postgres, postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.app.conftest import Place

URL = "postgresql://handclasp@db.example.org/handclasp"
OTHER = "postgresql://other@db.example.org/other"


@pytest.mark.parametrize(
    ("settled", "variable", "expected"),
    [(None, None, None), (URL, None, URL), (None, URL, URL), (URL, OTHER, URL)],
    ids=["neither", "settings", "variable", "both"],
)
def test_the_database_is_the_one_of_the_settings(
    place: Place, monkeypatch: pytest.MonkeyPatch, settled: str | None, variable: str | None, expected: str | None
) -> None:
    """Else that of the environment, else a file of the state directory."""
    if settled is not None:
        place.text += f"database: {settled}\n"
    if variable is not None:
        monkeypatch.setenv(DATABASE, variable)
    assert target_of(place.state, place.settings()) == (expected or place.state.ledger)


def test_without_settings_the_variable_counts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where nothing is served."""
    assert target_of(place.state, None) == place.state.ledger
    monkeypatch.setenv(DATABASE, URL)
    assert target_of(place.state, None) == URL


def test_a_ledger_of_its_own_has_the_chain_local(place: Place) -> None:
    """No name is made for it."""

    async def scenario(vault: Vault) -> str:
        return vault.writer

    assert place.with_vault(scenario) == "local"
    assert not place.state.writer.exists()


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL of this module's."""
    with postgres() as running:
        yield running


def test_directories_that_share_a_ledger_have_chains_of_their_own(
    place: Place, tmp_path: Path, server: Postgres
) -> None:
    """Each a name, random, made once and kept (0600): replicas do not wait for each other's events."""
    place.text += f"database: {server.create('shared')}\n"
    writers = []
    for name in ("one", "two", "one"):
        state = StateDirectory(tmp_path / name)
        with state.lock(), open_vault(state, place.settings()) as vault:
            writers.append(vault.writer)
    assert writers[0] == writers[2] != writers[1]
    assert all(re.fullmatch(r"[0-9a-f]{16}", writer) for writer in writers)
    assert (tmp_path / "one" / "writer").stat().st_mode & 0o777 == 0o600


def test_a_database_that_does_not_answer_is_refused(place: Place) -> None:
    """DATABASE_UNREACHABLE; and no ledger is begun beside it."""
    place.text += "database: postgresql://nobody@127.0.0.1:1/nothing\n"
    assert place.refused("ca.show").code is Code.DATABASE_UNREACHABLE
    assert not place.state.exists()


@pytest.mark.parametrize("given", [None, "example.org"])
def test_the_trust_domain_is_that_of_the_settings(place: Place, given: str | None) -> None:
    """Until there is an authority, whose it is from then on."""

    async def scenario(vault: Vault) -> str:
        return str(await vault.trust_domain(given))

    assert place.with_vault(scenario) == "example.org"


@pytest.mark.parametrize(("given", "expected"), [("other.org", Refused), ("Other.org", InvalidSetting)])
def test_another_trust_domain_is_refused(place: Place, given: str, expected: type[Exception]) -> None:
    """The option may repeat it, and not change it."""

    async def scenario(vault: Vault) -> str:
        return str(await vault.trust_domain(given))

    with pytest.raises(expected):
        place.with_vault(scenario)


def test_a_module_that_is_missing_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """HSM_UNAVAILABLE names the library; no key is made in a file instead."""
    monkeypatch.setenv("PIN", "1234")
    place.text += "authority: {keys: {custody: pkcs11, module: /nowhere/hsm.so, token: t, pin: 'env:PIN'}}\n"
    refused = place.not_issued(name="alice")
    assert refused.code is Code.HSM_UNAVAILABLE
    assert "/nowhere/hsm.so" in f"{refused.what} {refused.why}"
    assert "1234" not in f"{refused.what} {refused.why} {refused.fix}"
    assert not place.state.authority_keys.exists()


def test_where_nobody_sits_nobody_is_asked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encrypted keys and no place for the passphrase: KEY_PASSPHRASE_MISSING at once."""
    monkeypatch.setenv("HANDCLASP_CA_PASSPHRASE", "secret")
    place.issue()
    monkeypatch.delenv("HANDCLASP_CA_PASSPHRASE")
    assert place.not_issued(name="alice").code is Code.KEY_PASSPHRASE_MISSING


ASKED = """
import sys
from pathlib import Path
from handclasp.app.authority_settings import KeysSettings
from handclasp.app.state import StateDirectory
from handclasp.app.vault import custody_of
import asyncio
custody = custody_of(StateDirectory(Path(sys.argv[1])), KeysSettings())
print("asks" if custody.encrypts else "does not ask", flush=True)
key = asyncio.run(custody.public_key(sys.argv[2]))
print("open" if key else "no key", flush=True)
"""


@pytest.mark.parametrize(
    ("encrypted", "said"),
    [(True, "asks\nThe passphrase of the authority's keys: \nopen\n"), (False, "does not ask\nopen\n")],
    ids=["encrypted", "not"],
)
def test_at_a_terminal_a_person_is_asked(
    place: Place, monkeypatch: pytest.MonkeyPatch, encrypted: bool, said: str
) -> None:
    """Once, and only where a key is encrypted; what is typed is not shown."""
    if encrypted:
        monkeypatch.setenv("HANDCLASP_CA_PASSPHRASE", "sesame")
    place.issue()
    environment = {key: value for key, value in os.environ.items() if key != "HANDCLASP_CA_PASSPHRASE"}
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", ASKED, str(place.state.path), "issuing"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    ) as child:
        os.close(theirs)
        shown = b""
        typed = False
        try:
            while piece := os.read(ours, 1000):
                shown += piece
                if b"keys: " in shown and not typed:
                    os.write(ours, b"sesame\n")
                    typed = True
        except OSError:
            pass  # the other end is closed: Linux says so with EIO
        assert child.wait(20) == 0, shown
    os.close(ours)
    assert shown.decode().replace("\r\n", "\n") == said


def test_a_passphrase_that_is_settled_encrypts_what_is_made(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is there already."""
    monkeypatch.setenv("SECRET", "sesame")
    custody = custody_of(place.state, KeysSettings(passphrase="env:SECRET"))
    assert isinstance(custody, KeyFiles)
    assert custody.encrypts
