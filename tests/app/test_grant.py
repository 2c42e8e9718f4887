"""A grant: the files of a caller, and when those that are there may be replaced."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from handclasp.app.grant import Granted, grant, renew
from handclasp.findings import Code, Refused
from handclasp.pki import keys, pem
from handclasp.pki.spiffe import SpiffeID

ALICE = SpiffeID.parse("spiffe://example.org/alice")


class Place(Protocol):
    text: str
    perform: Callable[..., Coroutine[Any, Any, dict[str, Any]]]


def give(place: Place, directory: Path, **more: Any) -> Granted:
    return asyncio.run(grant(place.perform, ALICE, directory, **more))


def test_what_is_written(place: Place, tmp_path: Path) -> None:
    """A key that only its owner reads, the chain of it, and the root as trust bundle."""
    granted = give(place, tmp_path / "alice", dns=("alice.example.org",))
    files = {p.name: oct(stat.S_IMODE(p.stat().st_mode)) for p in granted.directory.iterdir()}
    assert files == {"key.pem": "0o600", "chain.pem": "0o644", "bundle.pem": "0o644"}
    leaf, issuing = pem.load_chain((granted.directory / "chain.pem").read_bytes())
    (root,) = pem.load_chain((granted.directory / "bundle.pem").read_bytes())
    leaf.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(root)
    key = keys.load_private((granted.directory / "key.pem").read_bytes())
    assert keys.spki_sha256(key.public_key()) == keys.spki_sha256(keys.supported(leaf.public_key()))
    said = {name: granted.facts[name] for name in ("identity", "dns", "state")}
    assert said == {"identity": str(ALICE), "dns": ["alice.example.org"], "state": "valid"}


def test_a_passphrase_makes_a_pkcs12_file(place: Place, tmp_path: Path) -> None:
    """It holds the key and the whole chain, and opens with the passphrase alone."""
    directory = give(place, tmp_path / "alice", passphrase=b"open sesame").directory
    data = (directory / "identity.p12").read_bytes()
    assert oct(stat.S_IMODE((directory / "identity.p12").stat().st_mode)) == "0o600"
    key, leaf, others = pkcs12.load_key_and_certificates(data, b"open sesame")
    assert key is not None
    assert leaf == pem.load_chain((directory / "chain.pem").read_bytes())[0]
    assert len(others) == 2
    with pytest.raises(ValueError, match="password"):
        pkcs12.load_key_and_certificates(data, b"wrong")


def test_a_valid_certificate_is_not_replaced(place: Place, tmp_path: Path) -> None:
    """Refused(STATE_FILE_EXISTS); the files stay, and nothing was issued."""
    directory = give(place, tmp_path / "alice").directory
    before = {p.name: p.read_bytes() for p in directory.iterdir()}
    with pytest.raises(Refused) as caught:
        give(place, directory)
    assert caught.value.code is Code.STATE_FILE_EXISTS
    assert {p.name: p.read_bytes() for p in directory.iterdir()} == before
    assert len(asyncio.run(place.perform("client.show", name="alice"))["certificates"]) == 1


def test_a_revoked_certificate_is_replaced(place: Place, tmp_path: Path) -> None:
    """After a revocation `client add` is a new grant, with a new key (D12)."""
    directory = give(place, tmp_path / "alice").directory
    key = (directory / "key.pem").read_bytes()
    asyncio.run(place.perform("client.revoke", name="alice", reason="key_compromise"))
    give(place, directory)
    assert (directory / "key.pem").read_bytes() != key
    states = [c["state"] for c in asyncio.run(place.perform("client.show", name="alice"))["certificates"]]
    assert states == ["revoked", "valid"]


def test_another_copy_goes_elsewhere(place: Place, tmp_path: Path) -> None:
    """The same identity may have several keys, each in its place."""
    first, second = give(place, tmp_path / "one"), give(place, tmp_path / "two")
    assert first.facts["identity"] == second.facts["identity"]
    assert first.facts["serial"] != second.facts["serial"]


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff"], ids=["empty", "text", "bytes"])
def test_what_is_no_certificate_is_replaced(place: Place, tmp_path: Path, content: bytes) -> None:
    """A chain that is none protects nothing."""
    directory = tmp_path / "alice"
    directory.mkdir()
    (directory / "chain.pem").write_bytes(content)
    (directory / "key.pem").write_bytes(content)
    give(place, directory)
    assert len(pem.load_chain((directory / "chain.pem").read_bytes())) == 2


def test_a_stranger_s_files_are_not_lost(place: Place, tmp_path: Path) -> None:
    """A key and a valid certificate of another identity in the directory are not written over."""
    directory = give(place, tmp_path / "alice").directory
    before = (directory / "key.pem").read_bytes()
    bob = SpiffeID.parse("spiffe://example.org/bob")
    with pytest.raises(Refused) as caught:
        asyncio.run(grant(place.perform, bob, directory))
    assert caught.value.code is Code.STATE_FILE_EXISTS
    assert (directory / "key.pem").read_bytes() == before


def test_renewal_keeps_the_key(place: Place, tmp_path: Path) -> None:
    """One file changes, so nothing can be torn; names stay."""
    directory = give(place, tmp_path / "alice", dns=("alice.example.org",)).directory
    key, chain = (directory / "key.pem").read_bytes(), (directory / "chain.pem").read_bytes()
    renewed = asyncio.run(renew(place.perform, ALICE, directory))
    assert renewed.facts["dns"] == ["alice.example.org"]
    assert (directory / "key.pem").read_bytes() == key
    assert (directory / "chain.pem").read_bytes() != chain


def test_renewal_without_the_key_is_refused(place: Place, tmp_path: Path) -> None:
    """Refused(STATE_KEY_MISSING), naming the file."""
    give(place, tmp_path / "alice")
    with pytest.raises(Refused) as caught:
        asyncio.run(renew(place.perform, ALICE, tmp_path / "elsewhere"))
    assert caught.value.code is Code.STATE_KEY_MISSING
    assert str(tmp_path / "elsewhere" / "key.pem") in caught.value.why


def test_an_unwritable_place_is_refused_before_anything_is_issued(place: Place, tmp_path: Path) -> None:
    """Where a file stands in the way: Refused(STATE_UNWRITABLE), and no certificate was made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused) as caught:
        give(place, tmp_path / "file" / "alice")
    assert caught.value.code is Code.STATE_UNWRITABLE
    assert asyncio.run(place.perform("client.list"))["clients"] == []
