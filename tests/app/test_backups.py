"""Backups: what is in one, what is left when one cannot be restored, and a ledger that is moved."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from handclasp.app import backups
from handclasp.app.state import StateDirectory
from handclasp.findings import Code, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.app.conftest import Place

SECRET = b"staple battery"


def backup(place: Place, file: Path, passphrase: bytes | None = SECRET) -> dict[str, Any]:
    """Make one."""
    asked = {
        "file": str(file),
        "settings": f"{file}.yaml",
        "passphrase": None if passphrase is None else passphrase.hex(),
    }
    return place.do("backup", **asked)


def restore(place: Place, file: Path, directory: Path, passphrase: bytes | None = SECRET) -> dict[str, object]:
    """Put it into a directory."""
    return asyncio.run(backups.restore(StateDirectory(directory), place.settings, file, lambda: passphrase))


def there(directory: Path) -> set[str]:
    """The ledger and the keys of a state directory, by file name."""
    return {path.name for pattern in ("ledger.db*", "ca/*.key") for path in directory.glob(pattern)}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, place_at: Callable[[Path], Place]) -> tuple[Place, Path]:
    """An authority that has issued to alice, and its backup: nobody changes either."""
    directory = tmp_path_factory.mktemp("original")
    place = place_at(directory / "state")
    place.issue()
    backup(place, directory / "kept.tar")
    return place, directory / "kept.tar"


@pytest.fixture
def place(original: tuple[Place, Path], place: Place) -> Place:
    """The authority of the backup."""
    shutil.copytree(original[0].state.path, place.state.path)
    return place


@pytest.fixture
def kept(original: tuple[Place, Path], tmp_path: Path) -> Path:
    """A backup of it."""
    return Path(shutil.copy(original[1], tmp_path / "kept.tar"))


def test_what_is_restored_is_what_was_there(place: Place, kept: Path, tmp_path: Path) -> None:
    """Certificates and keys, by which it goes on issuing; and the log tells of both."""
    told = restore(place, kept, tmp_path / "new")
    assert told["keys"] == ["issuing", "root"]
    old = place.found(profile="client")
    place.state = StateDirectory(tmp_path / "new")
    new = place.found(profile="client")
    for one in (*old, *new):
        one.pop("days_left")
    assert new == old
    place.issue(name="bob")
    events = place.do("audit.export", kind="backup.restored", subject=None, after=None)["events"]
    assert len(events) == 1
    place.do("audit.verify", kept=None)


def test_a_backup_without_keys_has_none(place: Place, tmp_path: Path) -> None:
    """And needs no passphrase to be restored."""
    assert backup(place, tmp_path / "kept.tar", None)["keys"] == []
    with tarfile.open(tmp_path / "kept.tar") as tar:
        assert sorted(tar.getnames()) == ["ledger.db", "manifest.json"]
    restore(place, tmp_path / "kept.tar", tmp_path / "new", None)
    assert there(tmp_path / "new") == {"ledger.db"} | {n for n in there(tmp_path / "new") if n.startswith("ledger.db-")}


def test_a_backup_says_nothing_about_who_made_it(kept: Path) -> None:
    """No user, no path, and nobody else may read it."""
    assert kept.stat().st_mode & 0o777 == 0o600
    with tarfile.open(kept) as tar:
        assert {(m.uid, m.gid, m.uname, m.gname, m.mode) for m in tar} == {(0, 0, "", "", 0o600)}
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        assert str(kept.parent) not in manifest.read().decode()


def test_a_backup_is_whole_or_not_there(place: Place, tmp_path: Path) -> None:
    """Where it cannot be written: STATE_UNWRITABLE, nothing is left of it, and no event says that there is one."""
    (tmp_path / "file").write_text("")
    asked = {"file": str(tmp_path / "file" / "b.tar"), "settings": "none.yaml", "passphrase": None}
    assert place.refused("backup", **asked).code is Code.STATE_UNWRITABLE
    assert [path.name for path in place.state.path.glob("backup-*")] == []
    (earlier,) = place.do("audit.export", kind="backup.made", subject=None, after=None)["events"]
    assert "b.tar" not in str(earlier)


@pytest.mark.parametrize(
    ("passphrase", "code"),
    [(b"wrong", Code.KEY_PASSPHRASE_WRONG), (b"", Code.KEY_PASSPHRASE_MISSING), (None, Code.KEY_PASSPHRASE_MISSING)],
    ids=["wrong", "empty", "none"],
)
def test_without_its_passphrase_nothing_is_restored(
    place: Place, kept: Path, tmp_path: Path, passphrase: bytes | None, code: Code
) -> None:
    """And nothing of it is left."""
    with pytest.raises(Refused) as caught:
        restore(place, kept, tmp_path / "new", passphrase)
    assert caught.value.code is code
    assert there(tmp_path / "new") == set()
    assert list((tmp_path / "new").glob("restore-*")) == []


def test_keys_that_were_there_are_not_lost(place: Place, kept: Path, tmp_path: Path) -> None:
    """As where the ledger is in another database: what cannot be restored takes nothing away."""
    other = tmp_path / "new" / "ca"
    other.mkdir(parents=True, mode=0o700)
    (other / "issuing.key").write_bytes((place.state.authority_keys / "root.key").read_bytes())
    (other / "issuing.key").chmod(0o600)
    with pytest.raises(Refused) as caught:
        restore(place, kept, tmp_path / "new")
    assert caught.value.code is Code.STATE_FILE_EXISTS
    assert there(tmp_path / "new") == {"issuing.key"}
    assert (other / "issuing.key").read_bytes() == (place.state.authority_keys / "root.key").read_bytes()


def test_nothing_is_restored_over_an_authority(place: Place, kept: Path) -> None:
    """STATE_FILE_EXISTS, and it is as it was."""
    before = place.found()
    with pytest.raises(Refused) as caught:
        restore(place, kept, place.state.path)
    assert caught.value.code is Code.STATE_FILE_EXISTS
    assert [one["serial"] for one in place.found()] == [one["serial"] for one in before]


def rewritten(kept: Path, change: Any) -> Path:
    """The backup with its members changed by a function of name and content, which gives them or None."""
    bad = kept.with_name("bad.tar")
    with tarfile.open(kept) as old, tarfile.open(bad, "w") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            for name, data in change(member.name, content.read()):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                new.addfile(info, io.BytesIO(data))
    return bad


def manifest(**changes: object) -> Any:
    """Another manifest."""

    def change(name: str, data: bytes) -> list[tuple[str, bytes]]:
        if name == "manifest.json":
            data = json.dumps(json.loads(data) | changes).encode()
        return [(name, data)]

    return change


BAD: dict[str, Any] = {
    "newer format": manifest(format=2),
    "no list of keys": manifest(keys=None),
    "a key that is not in it": manifest(keys=["issuing", "root", "other"]),
    "a key outside": manifest(keys=["../../etc/passwd"]),
    "no ledger": lambda name, data: [] if name == "ledger.db" else [(name, data)],
    "no manifest": lambda name, data: [] if name == "manifest.json" else [(name, data)],
    "a broken ledger": lambda name, data: [(name, b"x" * len(data) if name == "ledger.db" else data)],
    "a file twice": lambda name, data: [(name, data)] * 2,
    "a file outside": lambda name, data: [(name, data), ("../escaped", b"")],
    "a key with a path": lambda name, data: [(name, data), ("keys/../../escaped.key", b"")],
    "a large manifest": lambda name, data: [(name, data + b" " * 2_000_000 if name == "manifest.json" else data)],
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_a_backup_that_was_changed_is_refused(place: Place, kept: Path, tmp_path: Path, change: Any) -> None:
    """With a code; nothing is restored, nor written anywhere else."""
    with pytest.raises(Refused) as caught:
        restore(place, rewritten(kept, change), tmp_path / "new")
    assert caught.value.code in (Code.BACKUP_UNUSABLE, Code.STATE_DAMAGED)
    assert there(tmp_path / "new") == set()
    assert list(tmp_path.rglob("escaped*")) == []


@pytest.mark.parametrize("size", [0, 100, 600, 10_000, 60_000])
def test_a_backup_that_was_cut_is_refused(place: Place, kept: Path, tmp_path: Path, size: int) -> None:
    """Wherever."""
    kept.write_bytes(kept.read_bytes()[:size])
    with pytest.raises(Refused) as caught:
        restore(place, kept, tmp_path / "new")
    assert caught.value.code in (Code.BACKUP_UNUSABLE, Code.STATE_DAMAGED)
    assert there(tmp_path / "new") == set()


def tampering(tmp_path: Path, sql: str) -> Any:
    """A change of the ledger in a backup, with the manifest made to fit it."""
    digests: dict[str, str] = {}

    def change(name: str, data: bytes) -> list[tuple[str, bytes]]:
        if name == "ledger.db":
            copy = tmp_path / "copy.db"
            copy.write_bytes(data)
            with closing(sqlite3.connect(copy)) as database:
                database.execute(sql)
                database.commit()
            data = copy.read_bytes()
            digests[name] = hashlib.sha256(data).hexdigest()
        if name == "manifest.json":
            found = json.loads(data)
            data = json.dumps(found | {"sha256": found["sha256"] | digests}, indent=2).encode()
        return [(name, data)]

    return change


def test_a_backup_that_somebody_else_sealed_is_not_restored(place: Place, kept: Path, tmp_path: Path) -> None:
    """A certificate that lives longer, and a manifest that fits: the seal takes the passphrase."""
    change = tampering(tmp_path, "UPDATE certificates SET not_after = not_after + 1000000")
    with pytest.raises(Refused) as caught:
        restore(place, rewritten(kept, change), tmp_path / "new")
    assert (caught.value.code, "seal" in caught.value.why) == (Code.BACKUP_UNUSABLE, True)
    assert there(tmp_path / "new") == set()


def test_a_log_that_was_changed_is_not_restored(place: Place, tmp_path: Path) -> None:
    """A backup without keys has no seal, but its audit log is verified: AUDIT_BROKEN."""
    bare = tmp_path / "bare.tar"
    backup(place, bare, None)
    change = tampering(tmp_path, "DELETE FROM events WHERE seq = 3")
    with pytest.raises(Refused) as caught:
        restore(place, rewritten(bare, change), tmp_path / "new")
    assert caught.value.code is Code.AUDIT_BROKEN
    assert there(tmp_path / "new") == set()


def test_a_ledger_moves_to_an_empty_file_only(place: Place, tmp_path: Path) -> None:
    """With everything, and its log verified there; the second time it is not empty."""
    told = place.do("database.move", url=str(tmp_path / "moved.db"))
    assert (told["certificates"], Path(told["database"])) == (3, tmp_path / "moved.db")
    refused = place.refused("database.move", url=str(tmp_path / "moved.db"))
    assert (refused.code, "not empty" in refused.why) == (Code.BACKUP_UNUSABLE, True)
