"""The state directory: its modes, its one writer, and the files of an identity."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from handclasp.app.state import StateDirectory, write_identity
from handclasp.findings import Code, Refused
from handclasp.pki.spiffe import SpiffeID

HOLDER = """
import sys, time
from pathlib import Path
from handclasp.app.state import StateDirectory
with StateDirectory(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def modes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in (directory, *directory.rglob("*"))
    }


@contextmanager
def held(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLDER, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


@pytest.mark.parametrize("mask", [0o000, 0o077], ids=["umask 000", "umask 077"])
def test_modes(tmp_path: Path, mask: int) -> None:
    """Every directory is 0700 and every file 0600, whatever the umask."""
    before = os.umask(mask)
    try:
        with StateDirectory(tmp_path / "state").lock():
            pass
    finally:
        os.umask(before)
    assert modes(tmp_path / "state") == {
        ".": "0o700",
        ".gitignore": "0o600",
        "clients": "0o700",
        "gateway": "0o700",
        "lock": "0o600",
        "log": "0o700",
        "run": "0o700",
    }


def test_an_open_directory_is_closed(tmp_path: Path) -> None:
    """A directory that others could read is made 0700."""
    tmp_path.chmod(0o755)
    StateDirectory(tmp_path).prepare()
    assert modes(tmp_path)["."] == "0o700"


def test_git_ignores_everything(tmp_path: Path) -> None:
    """The directory's own .gitignore covers all of it; one that a person changed stays."""
    state = StateDirectory(tmp_path)
    state.prepare()
    assert (tmp_path / ".gitignore").read_text().splitlines()[-1] == "*"
    (tmp_path / ".gitignore").write_text("mine\n")
    state.prepare()
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_the_lock_excludes_another_process(tmp_path: Path) -> None:
    """While another process holds the lock: Refused(STATE_IN_USE), naming it."""
    with held(tmp_path) as holder:
        with pytest.raises(Refused) as caught, StateDirectory(tmp_path).lock():
            pass
        refused = caught.value
    assert (refused.code, refused.why) == (
        Code.STATE_IN_USE,
        f"another handclasp holds its lock (process {holder.pid})",
    )


def test_the_lock_excludes_the_same_process(tmp_path: Path) -> None:
    """Nor can one process hold it twice."""
    state = StateDirectory(tmp_path)
    with state.lock(), pytest.raises(Refused) as caught, state.lock():
        pass
    assert caught.value.code is Code.STATE_IN_USE


def test_the_lock_is_free_after_sigkill(tmp_path: Path) -> None:
    """A holder that was killed leaves a file and no lock."""
    with held(tmp_path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with StateDirectory(tmp_path).lock():
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_is_free_after_the_context(tmp_path: Path) -> None:
    """It can be taken again and again."""
    state = StateDirectory(tmp_path)
    for _ in range(3):
        with state.lock():
            pass


@pytest.mark.parametrize("below", ["", "deeper"], ids=["in its place", "above it"])
def test_an_unwritable_directory_is_refused(tmp_path: Path, below: str) -> None:
    """Where a file stands in the way: Refused(STATE_UNWRITABLE), naming what cannot be written."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused) as caught:
        StateDirectory(tmp_path / "file" / below).prepare()
    assert caught.value.code is Code.STATE_UNWRITABLE
    assert str(tmp_path / "file") in caught.value.what


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_another_user_is_refused(tmp_path: Path) -> None:
    """A directory of somebody else: Refused(STATE_UNWRITABLE), with nothing made."""
    tmp_path.chmod(0o755)
    state = StateDirectory(tmp_path / "state")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setuid(65534)
            state.prepare()
        except Refused as refused:
            status = 0 if refused.code is Code.STATE_UNWRITABLE else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not state.path.exists()


def test_exists_with_its_ledger(tmp_path: Path) -> None:
    """A directory that was only prepared holds nothing yet."""
    state = StateDirectory(tmp_path / "state")
    state.prepare()
    assert not state.exists()
    state.ledger.touch()
    assert state.exists()


def test_two_names_are_two_directories(tmp_path: Path) -> None:
    """`a/b` and `a-b` do not meet, and neither leaves the directory of callers."""
    state = StateDirectory(tmp_path)
    names = ["a/b", "a-b", "a.b", "a_b", "ab"]
    found = [state.client(SpiffeID.parse(f"spiffe://example.org/{name}")) for name in names]
    assert len(set(found)) == len(names)
    assert {path.parent for path in found} == {tmp_path / "clients"}


def test_an_identitys_files(tmp_path: Path) -> None:
    """The key is 0600, what is public 0644, the directory 0700."""
    before = os.umask(0)
    try:
        write_identity(tmp_path / "a", key=b"K", chain=b"C", bundle=b"B")
    finally:
        os.umask(before)
    assert modes(tmp_path / "a") == {".": "0o700", "key.pem": "0o600", "chain.pem": "0o644", "bundle.pem": "0o644"}


def test_without_a_key_the_one_there_stays(tmp_path: Path) -> None:
    """A renewal writes chain and bundle alone."""
    write_identity(tmp_path, key=b"K", chain=b"C", bundle=b"B")
    write_identity(tmp_path, key=None, chain=b"C2", bundle=b"B2")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        "key.pem": b"K",
        "chain.pem": b"C2",
        "bundle.pem": b"B2",
    }


def test_an_unwritable_place_of_an_identity_is_refused(tmp_path: Path) -> None:
    """Where a file stands in the way: Refused(STATE_UNWRITABLE)."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused) as caught:
        write_identity(tmp_path / "file", key=b"K", chain=b"C", bundle=b"B")
    assert caught.value.code is Code.STATE_UNWRITABLE
