"""Key files: their modes, their atomicity, and what is said when they are wrong."""

from __future__ import annotations

import asyncio
import os
import stat
import traceback
from pathlib import Path

import pytest

from handclasp.findings import Code, Refused
from handclasp.pki.keys import KeyType, generate, private_pem, spki_sha256, verify
from handclasp.store.keyfiles import KeyFiles

TBS = b"to be signed"


def _create(directory: Path, name: str, kind: KeyType = KeyType.EC_P256) -> str:
    return spki_sha256(asyncio.run(KeyFiles(directory).create(name, kind)))


def test_modes(tmp_path: Path) -> None:
    """The directory is 0700, the root's key 0400, any other 0600, whatever the umask."""
    directory = tmp_path / "ca"
    umask = os.umask(0)
    try:
        _create(directory, "root", KeyType.EC_P384)
        _create(directory, "issuing")
    finally:
        os.umask(umask)
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (directory, *directory.iterdir())}
    assert modes == {"ca": "0o700", "root.key": "0o400", "issuing.key": "0o600"}


def test_an_open_directory_is_closed(tmp_path: Path) -> None:
    """A directory that others could read is made 0700 before a key goes into it."""
    tmp_path.chmod(0o755)
    _create(tmp_path, "issuing")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["root", "issuing"])
def test_a_key_is_made_once(tmp_path: Path, name: str) -> None:
    """create() returns the key that is there already, in this process and in the next."""
    keys = KeyFiles(tmp_path)
    first = spki_sha256(asyncio.run(keys.create(name, KeyType.EC_P256)))
    assert spki_sha256(asyncio.run(keys.create(name, KeyType.EC_P256))) == first
    assert _create(tmp_path, name) == first


@pytest.mark.parametrize("kind", list(KeyType), ids=str)
def test_signs(tmp_path: Path, kind: KeyType) -> None:
    """A signature is by the key whose public half is given out, with the hash of its kind."""

    async def scene() -> None:
        keys = KeyFiles(tmp_path)
        public = await keys.create("issuing", kind)
        verify(public, await keys.sign("issuing", TBS), TBS)

    asyncio.run(scene())


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    """No file: not available, no public key, and signing is Refused(STATE_KEY_MISSING) naming the file."""

    async def scene() -> None:
        keys = KeyFiles(tmp_path / "ca")
        assert not await keys.available("issuing")
        assert await keys.public_key("issuing") is None
        with pytest.raises(Refused) as caught:
            await keys.sign("issuing", TBS)
        assert caught.value.code is Code.STATE_KEY_MISSING
        assert str(tmp_path / "ca" / "issuing.key") in caught.value.fix

    asyncio.run(scene())


def test_moving_the_root_key_away_takes_it_away(tmp_path: Path) -> None:
    """The root's key is not kept in memory: without its file nothing more is signed with it."""

    async def scene() -> None:
        keys = KeyFiles(tmp_path)
        await keys.create("root", KeyType.EC_P384)
        await keys.sign("root", TBS)
        (tmp_path / "root.key").unlink()
        assert not await keys.available("root")
        with pytest.raises(Refused):
            await keys.sign("root", TBS)

    asyncio.run(scene())


def _broken(content: bytes) -> bytes:
    lines = content.splitlines()
    lines[1] = lines[1][::-1]
    return b"\n".join(lines)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", _broken(private_pem(generate(KeyType.EC_P256))), private_pem(generate(KeyType.EC_P256))[:-60]],
    ids=["empty", "text", "changed", "cut-short"],
)
def test_a_damaged_key_is_refused_without_quoting_it(tmp_path: Path, content: bytes) -> None:
    """Refused(STATE_DAMAGED) names the file; neither message nor traceback holds a line of it."""
    (tmp_path / "issuing.key").write_bytes(content)
    with pytest.raises(Refused) as caught:
        asyncio.run(KeyFiles(tmp_path).available("issuing"))
    refused = caught.value
    assert refused.code is Code.STATE_DAMAGED
    assert str(tmp_path / "issuing.key") in refused.what
    told = "".join(traceback.format_exception(refused)) + refused.why + refused.fix
    assert not any(line in told for line in content.decode().splitlines()[1:-1])


def test_repr_shows_no_key(tmp_path: Path) -> None:
    """The custody's repr is its directory; nothing of a key is in it."""
    keys = KeyFiles(tmp_path)
    asyncio.run(keys.create("issuing", KeyType.EC_P256))
    assert repr(keys) == f"KeyFiles('{tmp_path}')"


def test_what_a_crash_left_behind_is_cleared(tmp_path: Path) -> None:
    """A half-written temporary file is no key, and is gone after the next creation."""
    (tmp_path / ".issuing.key.new").write_bytes(private_pem(generate(KeyType.EC_P256))[:50])
    assert asyncio.run(KeyFiles(tmp_path).public_key("issuing")) is None
    _create(tmp_path, "issuing")
    assert [path.name for path in tmp_path.iterdir()] == ["issuing.key"]


def test_an_unwritable_place_is_refused(tmp_path: Path) -> None:
    """Where a file stands in the way of the directory: Refused(STATE_UNWRITABLE)."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused) as caught:
        _create(tmp_path / "file" / "ca", "issuing")
    assert caught.value.code is Code.STATE_UNWRITABLE


@pytest.mark.parametrize("name", ["", "../issuing", "a/b", ".hidden", "Root"])
def test_only_plain_names(tmp_path: Path, name: str) -> None:
    """A name cannot lead out of the directory."""
    with pytest.raises(ValueError, match="no name of a key"):
        KeyFiles(tmp_path).where(name)
