"""The passphrase of the key files: given, changed, taken away, and never by who does not know the old one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from handclasp.app.state import StateDirectory
from handclasp.findings import Code
from handclasp.pki import pkcs8

if TYPE_CHECKING:
    from tests.app.conftest import Place


def key_file(state: StateDirectory, name: str) -> bytes:
    """What is in the file of a key."""
    return (state.authority_keys / f"{name}.key").read_bytes()


def test_keys_are_put_under_a_passphrase_and_under_another(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them each time; the old one opens nothing any more, the new one everything."""
    place.issue()
    assert place.do("ca.passphrase", new=b"first".hex()) == {"keys": ["issuing", "root"]}
    assert all(pkcs8.is_encrypted(key_file(place.state, name)) for name in ("issuing", "root"))
    monkeypatch.setenv("HANDCLASP_CA_PASSPHRASE", "first")
    place.do("ca.passphrase", new=b"second".hex())
    assert place.not_issued(name="alice").code is Code.KEY_PASSPHRASE_WRONG
    monkeypatch.setenv("HANDCLASP_CA_PASSPHRASE", "second")
    place.issue()
    assert place.do("ca.passphrase", new="") == {"keys": ["issuing", "root"]}
    assert not any(pkcs8.is_encrypted(key_file(place.state, name)) for name in ("issuing", "root"))


@pytest.mark.parametrize(
    ("given", "code"),
    [(None, Code.KEY_PASSPHRASE_MISSING), ("wrong", Code.KEY_PASSPHRASE_WRONG)],
    ids=["none", "wrong"],
)
def test_without_the_old_passphrase_there_is_no_new_one(
    place: Place, monkeypatch: pytest.MonkeyPatch, given: str | None, code: Code
) -> None:
    """The files stay as they were, byte by byte."""
    place.issue()
    place.do("ca.passphrase", new=b"first".hex())
    before = {name: key_file(place.state, name) for name in ("issuing", "root")}
    if given is not None:
        monkeypatch.setenv("HANDCLASP_CA_PASSPHRASE", given)
    for new in (b"second".hex(), ""):
        assert place.refused("ca.passphrase", new=new).code is code
    assert {name: key_file(place.state, name) for name in ("issuing", "root")} == before


def test_the_place_of_the_passphrase_is_settled(place: Place, tmp_path: Path) -> None:
    """A file that only its owner can read; the environment is not asked then."""
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    secret.chmod(0o600)
    place.text += f"authority: {{keys: {{passphrase: 'file:{secret}'}}}}\n"
    place.issue()
    assert pkcs8.is_encrypted(key_file(place.state, "issuing"))
    secret.chmod(0o644)
    refused = place.not_issued(name="alice")
    assert (refused.code, "chmod 600" in refused.fix) == (Code.KEY_PASSPHRASE_MISSING, True)
