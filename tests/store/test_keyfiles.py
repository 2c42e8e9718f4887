"""Key files: their modes, their atomicity, and what is said when they are wrong."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handclasp.findings import Code, Refused
from handclasp.pki.keys import KeyType, generate, private_pem, spki_sha256, verify
from handclasp.pki.pkcs8 import Encryption
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
    (tmp_path / ".issuing.key.part").write_bytes(private_pem(generate(KeyType.EC_P256))[:50])
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


PASSPHRASE, ANOTHER = b"correct horse", b"battery staple"


def quick(passphrase: bytes) -> Encryption:
    """As key files are encrypted, but cheap to try."""
    return Encryption(passphrase, os.urandom(16), os.urandom(16), n=16, r=1, p=1)


def under(passphrase: bytes, directory: Path) -> KeyFiles:
    return KeyFiles(directory, lambda: passphrase, encryption=quick)


def modes_of(directory: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in directory.iterdir()}


def code_of(keys: KeyFiles, name: str) -> Code | None:
    """What is refused when the key is to sign; None if it does."""
    try:
        asyncio.run(keys.sign(name, TBS))
    except Refused as refused:
        return refused.code
    return None


def test_keys_in_clear_are_read_and_told(tmp_path: Path) -> None:
    """With a passphrase, an old key in clear goes on to be used, and unencrypted() names it; a new one is encrypted."""
    first = _create(tmp_path, "root", KeyType.EC_P384)
    keys = under(PASSPHRASE, tmp_path)
    assert spki_sha256(asyncio.run(keys.create("root", KeyType.EC_P384))) == first
    asyncio.run(keys.create("issuing", KeyType.EC_P256))
    assert (keys.names(), keys.unencrypted()) == (("issuing", "root"), ("root",))
    assert b"ENCRYPTED PRIVATE KEY" in (tmp_path / "issuing.key").read_bytes()


def test_openssl_opens_a_key_file(tmp_path: Path) -> None:
    """With the costs that are the rule, a key file is a standard one: `openssl pkey` signs with it."""
    keys = KeyFiles(tmp_path, lambda: PASSPHRASE)
    public = asyncio.run(keys.create("issuing", KeyType.EC_P256))
    signature = subprocess.run(
        [
            "openssl",
            "dgst",
            "-sha256",
            "-sign",
            str(tmp_path / "issuing.key"),
            "-passin",
            f"pass:{PASSPHRASE.decode()}",
        ],
        input=TBS,
        check=True,
        capture_output=True,
    ).stdout
    verify(public, signature, TBS)


def test_without_a_passphrase_an_encrypted_key_says_so(tmp_path: Path) -> None:
    """Refused(KEY_PASSPHRASE_MISSING), as with an empty one; an empty one encrypts nothing either."""
    asyncio.run(under(PASSPHRASE, tmp_path).create("issuing", KeyType.EC_P256))
    assert code_of(KeyFiles(tmp_path), "issuing") is Code.KEY_PASSPHRASE_MISSING
    assert code_of(under(b"", tmp_path), "issuing") is Code.KEY_PASSPHRASE_MISSING
    with pytest.raises(Refused) as caught:
        asyncio.run(under(b"", tmp_path / "new").create("issuing", KeyType.EC_P256))
    assert (caught.value.code, (tmp_path / "new").exists()) == (Code.KEY_PASSPHRASE_MISSING, False)


def test_a_mistyped_passphrase_makes_no_key(tmp_path: Path) -> None:
    """A new key beside others is made under the passphrase that opens them, or not at all."""
    asyncio.run(under(PASSPHRASE, tmp_path).create("issuing", KeyType.EC_P256))
    with pytest.raises(Refused) as caught:
        asyncio.run(under(ANOTHER, tmp_path).create("issuing-2", KeyType.EC_P256))
    assert (caught.value.code, under(PASSPHRASE, tmp_path).names()) == (Code.KEY_PASSPHRASE_WRONG, ("issuing",))


def test_a_kept_key_is_opened_once(tmp_path: Path) -> None:
    """The passphrase is asked for once for a key that is kept, and for every use of the root's; its public half, while
    the file stays the same, takes none."""
    asked: list[int] = []

    def ask() -> bytes:
        asked.append(1)
        return PASSPHRASE

    async def scene() -> tuple[int, int, int]:
        made = under(PASSPHRASE, tmp_path)
        await made.create("root", KeyType.EC_P384)
        await made.create("issuing", KeyType.EC_P256)
        keys = KeyFiles(tmp_path, ask, encryption=quick)
        counts = []
        for name, look in (("issuing", False), ("root", False), ("root", True)):
            asked.clear()
            for _ in range(3):
                await (keys.available(name) if look else keys.sign(name, TBS))
            counts.append(len(asked))
        return counts[0], counts[1], counts[2]

    assert asyncio.run(scene()) == (1, 3, 0)


def test_the_root_key_is_not_kept_in_memory(tmp_path: Path) -> None:
    """After a signature by the root nothing of its key is left among the objects of the process."""
    keys = under(PASSPHRASE, tmp_path)
    asyncio.run(keys.create("root", KeyType.ED25519))
    asyncio.run(keys.sign("root", TBS))
    gc.collect()
    assert [found for found in gc.get_objects() if isinstance(found, ed25519.Ed25519PrivateKey)] == []


@pytest.mark.parametrize("after", [ANOTHER, None], ids=["another", "none"])
@pytest.mark.parametrize("before", [PASSPHRASE, None], ids=["encrypted", "clear"])
def test_the_passphrase_is_changed(tmp_path: Path, before: bytes | None, after: bytes | None) -> None:
    """All keys, the same ones with the same modes, under another passphrase, or the first, or none; the one before
    opens none any more, and nothing else is left in the directory."""

    def opened(passphrase: bytes | None) -> KeyFiles:
        return KeyFiles(tmp_path) if passphrase is None else under(passphrase, tmp_path)

    keys = opened(before)
    made = [spki_sha256(asyncio.run(keys.create(name, KeyType.EC_P256))) for name in ("issuing", "root")]
    changed = asyncio.run(keys.reencrypt(None if after is None else lambda: after))
    assert changed == ("issuing", "root")
    for now in (keys, opened(after)):
        assert [spki_sha256(asyncio.run(now.create(name, KeyType.EC_P256))) for name in changed] == made
        assert now.unencrypted() == (() if after else changed)
    assert modes_of(tmp_path) == {"issuing.key": "0o600", "root.key": "0o400"}
    if after is not None:
        wanted = Code.KEY_PASSPHRASE_MISSING if before is None else Code.KEY_PASSPHRASE_WRONG
        assert [code_of(opened(before), name) for name in changed] == [wanted] * 2


def test_one_key_that_cannot_be_opened_stops_the_change(tmp_path: Path) -> None:
    """Where one key does not open, none is changed."""
    keys = under(PASSPHRASE, tmp_path)
    asyncio.run(keys.create("issuing", KeyType.EC_P256))
    (tmp_path / "root.key").write_bytes(private_pem(generate(KeyType.EC_P384), quick(b"a third")))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(Refused) as caught:
        asyncio.run(under(PASSPHRASE, tmp_path).reencrypt(lambda: ANOTHER))
    assert caught.value.code is Code.KEY_PASSPHRASE_WRONG
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from handclasp.pki.pkcs8 import Encryption
from handclasp.store.keyfiles import KeyFiles

directory, kill_at = Path(sys.argv[1]), int(sys.argv[2])
quick = lambda secret: Encryption(secret, os.urandom(16), os.urandom(16), n=16, r=1, p=1)
steps = 0

def hook(event, arguments):
    global steps
    if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(str(directory)):
        steps += 1
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

keys = KeyFiles(directory, lambda: b"correct horse", encryption=quick)
sys.addaudithook(hook)
asyncio.run(keys.reencrypt(lambda: b"battery staple"))
print(steps)
"""


def test_a_change_is_whole_wherever_it_is_killed(tmp_path: Path) -> None:
    """Killed at any call that opens, moves or removes a file, all keys open with the one passphrase or all with the
    other, they are the same keys, nothing else is left, and the change can be made again."""
    names = ("issuing", "root")
    origin = tmp_path / "origin"
    keys = under(PASSPHRASE, origin)
    made = [spki_sha256(asyncio.run(keys.create(name, KeyType.EC_P256))) for name in names]
    opened_by = []
    for kill_at in range(1, 100):
        directory = tmp_path / str(kill_at)
        shutil.copytree(origin, directory)
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(directory), str(kill_at)], capture_output=True, check=False
        )
        passphrase = next(p for p in (ANOTHER, PASSPHRASE) if code_of(under(p, directory), "issuing") is None)
        opened_by.append(passphrase)
        found = under(passphrase, directory)
        assert [spki_sha256(asyncio.run(found.create(name, KeyType.EC_P256))) for name in names] == made
        assert {name for name in modes_of(directory) if not name.endswith(".part")} == {f"{n}.key" for n in names}
        assert asyncio.run(found.reencrypt(lambda: b"a third")) == names
        assert modes_of(directory) == modes_of(origin)
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL, child.stderr
    assert set(opened_by) == {PASSPHRASE, ANOTHER}
    assert opened_by == sorted(opened_by, key=[PASSPHRASE, ANOTHER].index)
    assert len(opened_by) > 12


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda pem, at, removed, put: pem[: at % len(pem)] + put + pem[at % len(pem) + removed :],
            st.sampled_from(
                [private_pem(generate(KeyType.EC_P256)), private_pem(generate(KeyType.ED25519), quick(PASSPHRASE))]
            ),
            st.integers(0, 1000),
            st.integers(0, 40),
            st.binary(max_size=12),
        ),
    ),
    passphrase=st.sampled_from([None, PASSPHRASE, ANOTHER]),
)
def test_any_file_is_a_key_or_refused(content: bytes, passphrase: bytes | None) -> None:
    """Whatever lies in the place of a key: it signs, or it is refused as damaged or for its passphrase."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        (directory / "issuing.key").write_bytes(content)
        keys = KeyFiles(directory) if passphrase is None else under(passphrase, directory)
        allowed = {None, Code.STATE_DAMAGED, Code.KEY_PASSPHRASE_WRONG, Code.KEY_PASSPHRASE_MISSING}
        assert code_of(keys, "issuing") in allowed
        assert isinstance(keys.unencrypted(), tuple)


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields:UserWarning")
def test_published_keys_good_and_bad(tmp_path: Path) -> None:
    """Each of the key files of cryptography's vectors signs, or is refused so too."""
    folder = Path(cryptography_vectors.__file__).parent / "asymmetric"
    found: Counter[Code | None] = Counter()
    for path in sorted(folder.rglob("*.pem")):
        (tmp_path / "issuing.key").write_bytes(path.read_bytes())
        found[code_of(under(b"password", tmp_path), "issuing")] += 1
    assert set(found) == {None, Code.STATE_DAMAGED, Code.KEY_PASSPHRASE_WRONG}


def test_a_copy_is_the_same_key(tmp_path: Path) -> None:
    """What is copied into another directory is under that one's passphrase; a key that is not here is missing."""
    keys, copies = under(PASSPHRASE, tmp_path / "ca"), under(ANOTHER, tmp_path / "copy")
    made = asyncio.run(keys.create("root", KeyType.EC_P384))
    copied = asyncio.run(keys.copy("root", copies))
    assert spki_sha256(copied) == spki_sha256(made)
    assert code_of(under(ANOTHER, tmp_path / "copy"), "root") is None
    with pytest.raises(Refused) as caught:
        asyncio.run(keys.copy("issuing", copies))
    assert caught.value.code is Code.STATE_KEY_MISSING
