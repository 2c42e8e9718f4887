"""A hardware security module for tests: SoftHSM2 (Debian: softhsm2), with a token directory of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pkcs11

_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
_CONFIGURATION = """\
directories.tokendir = {tokens}
objectstore.backend = file
objectstore.umask = 0077
log.level = ERROR
"""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and the directory that holds all of it. ``environment`` is what its users need set."""

    directory: Path
    module: Path
    label: str
    pin: bytes
    environment: dict[str, str]


def module() -> Path:
    """The PKCS#11 library. AssertionError if SoftHSM2 is not installed: it is needed, not optional."""
    found = next((Path(path) for path in _MODULES if Path(path).exists()), None)
    assert found is not None, "SoftHSM2 is not installed (Debian: apt-get install softhsm2)"
    return found


def initialize(directory: Path, label: str = "handclasp", pin: bytes = b"hsm-pin-4711") -> Token:
    """Make a token below the directory, for this and other processes."""
    tokens = directory / "tokens"
    tokens.mkdir(mode=0o700, parents=True)
    configuration = directory / "softhsm2.conf"
    configuration.write_text(_CONFIGURATION.format(tokens=tokens))
    environment = {"SOFTHSM2_CONF": str(configuration)}
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin.decode(), "--so-pin", "so-pin-0815"],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
    )
    return Token(directory, module(), label, pin, environment)


@contextmanager
def token(directory: Path, label: str = "handclasp") -> Iterator[Token]:
    """A token for this process, which has one at a time: the library asks the environment where it is."""
    made = initialize(directory, label)
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ.update(made.environment)
    library = pkcs11.lib(str(made.module))
    library.reinitialize()
    try:
        yield made
    finally:
        library.finalize()
        if before is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = before
