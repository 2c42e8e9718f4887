"""A process that holds keys leaves none of them in a core dump."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from handclasp.pki.keys import KeyType, generate, private_pem

CHILD = """
import contextlib, ctypes, os, resource, subprocess, sys
from pathlib import Path
from handclasp.app import hardening
from handclasp.pki.keys import load_private

# A test before this one may have hardened the process that starts this one, and so lowered the limit that is inherited:
# root can raise it again, nobody else.
before = resource.getrlimit(resource.RLIMIT_CORE)[1]
if os.getuid() == 0:
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        before = resource.RLIM_INFINITY
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # to change the user takes it away, as if hardened
resource.setrlimit(resource.RLIMIT_CORE, (before, before))
os.chdir(sys.argv[1])
if sys.argv[2] == "hardened":
    hardening.no_core_dumps()
key = load_private(sys.stdin.buffer.read())
limit = resource.getrlimit(resource.RLIMIT_CORE)[0]
print(hardening.is_dumpable(), limit, Path("/proc/self/mem").stat().st_uid, flush=True)
if sys.argv[3] == "abort":
    os.abort()
subprocess.run(["sh", "-c", "ulimit -c; stat -c %u /proc/self/mem"], check=True)
descriptor = os.open(".", os.O_RDONLY)
Path(f"/proc/self/fd/{descriptor}/made").write_text("x")
"""
OWNER = os.getuid() or 65534

linux = pytest.mark.skipif(sys.platform != "linux", reason="core dumps are looked at as Linux makes them")


def run(directory: Path, *how: str) -> subprocess.CompletedProcess[bytes]:
    pem = private_pem(generate(KeyType.EC_P256))
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(directory), *how],
        input=pem,
        capture_output=True,
        check=False,
    )


@pytest.fixture
def directory() -> Iterator[Path]:
    """A place where everybody may write, so that nothing but what is tested stops a core dump."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        yield Path(made)


@linux
def test_a_crash_leaves_no_core(directory: Path) -> None:
    """Hardened, a process that aborts with a key in memory is not dumpable, has a limit of zero, its memory is not its
    user's to open, and no core is there; without, all is otherwise, so it is the hardening that does it."""
    hardened = run(directory, "hardened", "abort")
    assert (hardened.returncode, hardened.stdout.decode()) == (-signal.SIGABRT, "False 0 0\n"), hardened.stderr
    assert list(directory.iterdir()) == []
    plain = run(directory, "plain", "abort")
    dumpable, limit, owner = plain.stdout.decode().split()
    assert (plain.returncode, dumpable, owner) == (-signal.SIGABRT, "True", str(OWNER))
    assert int(limit) in (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_CORE)[1])


@linux
def test_a_child_program_works(directory: Path) -> None:
    """A program that is started by it (as Envoy is) starts, may be looked at again, and inherits the limit; and the
    process itself still reaches its own descriptors by /proc."""
    ran = run(directory, "hardened", "go on")
    assert (ran.returncode, ran.stdout.decode()) == (0, f"False 0 0\n0\n{OWNER}\n"), ran.stderr
    assert (directory / "made").read_text() == "x"
