"""Where a secret is found that opens the authority's keys: a passphrase, or the PIN of a token.

Settings say where it is, never what it is, so that handclasp.yaml can be shown to anybody.
"""

from __future__ import annotations

import getpass
import os
import re
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

from handclasp.findings import Code, InvalidSetting, Refused

VARIABLE = "HANDCLASP_CA_PASSPHRASE"
"""The variable that holds the passphrase of the key files where no setting says otherwise."""

ALLOWED = "prompt, env:NAME, file:PATH or keyring:SERVICE"

_ACCOUNT = "handclasp"
_LONGEST = 4096
_PLACE = re.compile(r"(?P<kind>env|file|keyring):(?P<name>.+)", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret is: ``name`` is that of the variable, the file or the keyring's service; empty for a prompt."""

    kind: Literal["prompt", "env", "file", "keyring"]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


def parse(text: str) -> Place:
    """The place that a setting names. Raises InvalidSetting, which does not quote it: it may be a secret by mistake."""
    if text == "prompt":
        return Place("prompt")
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidSetting("", "it does not say where the secret is", ALLOWED)
    match found["kind"]:
        case "env" if _VARIABLE.fullmatch(found["name"]):
            return Place("env", found["name"])
        case "file" if "\0" not in found["name"]:
            return Place("file", found["name"])
        case "keyring":
            return Place("keyring", found["name"])
    raise InvalidSetting("", f"what follows {found['kind']}: is no name of one", ALLOWED)


def of_keys(setting: str | None, *, confirm: bool = False) -> Callable[[], bytes] | None:
    """What reads the passphrase of the key files: from where the setting says, else from HANDCLASP_CA_PASSPHRASE if
    that is set; None if the files are not encrypted."""
    if setting is None:
        if not os.environ.get(VARIABLE):
            return None
        setting = f"env:{VARIABLE}"
    return reader(setting, "passphrase of the authority's keys", confirm=confirm)


def reader(setting: str, what: str, *, confirm: bool = False) -> Callable[[], bytes]:
    """What reads the secret whenever it is called. A person is asked once only, or twice with ``confirm``, which is
    for a new secret.

    ``what`` names the secret to a person. Raises InvalidSetting now, Refused(KEY_PASSPHRASE_MISSING) when called.
    """
    place = parse(setting)
    if place.kind != "prompt":
        return lambda: _read(place, what)
    answers: list[bytes] = []

    def ask() -> bytes:
        if not answers:
            answers.append(_prompt(what, confirm))
        return answers[0]

    return ask


def _read(place: Place, what: str) -> bytes:
    match place.kind:
        case "env":
            secret = os.environ.get(place.name, "")
            if not secret:
                raise _missing(what, f"the variable {place.name} is not set, or empty", "Set it, and start again.")
            return os.fsencode(secret)
        case "file":
            return _from_file(Path(place.name), what)
        case "keyring":
            return _from_keyring(place.name, what)
        case "prompt":
            raise AssertionError("a prompt is no place to read")
        case _:
            assert_never(place.kind)


def _from_file(path: Path, what: str) -> bytes:
    """The first line. What others can read or write is refused: they may have, and may again."""
    try:
        # Not to wait for the other end of a pipe; a file gives no notice of it.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        why = f"{path} cannot be read: {error.strerror}"
        raise _missing(what, why, "Correct the path, or the owner and mode of the file.") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _missing(what, f"{path} is no file", "Name a file with the secret in its first line.")
        if found.st_mode & 0o077:
            why = f"{path} can be used by others (mode {stat.S_IMODE(found.st_mode):04o})"
            raise _missing(what, why, f"Keep it to yourself: chmod 600 {path}.")
        content = os.read(descriptor, _LONGEST + 1)
    finally:
        os.close(descriptor)
    secret = content.split(b"\n", 1)[0].removesuffix(b"\r")
    if not secret or len(secret) > _LONGEST:
        why = f"the first line of {path} is {'too long' if secret else 'empty'}"
        raise _missing(what, why, f"Write the secret into its first line, at most {_LONGEST} bytes.")
    return secret


def _from_keyring(service: str, what: str) -> bytes:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        why = "the package keyring is not installed"
        raise _missing(what, why, "Install it: pip install 'handclasp[keyring]'.") from None
    try:
        secret = keyring.get_password(service, _ACCOUNT)
    except (KeyringError, RuntimeError, OSError) as error:
        why = f"the keyring of the system does not answer ({type(error).__name__})"
        raise _missing(what, why, "Unlock it, or take another place for the secret.") from None
    if not secret:
        why = f"the keyring has nothing for the service {service}, user {_ACCOUNT}"
        raise _missing(what, why, f"Put it there: keyring set {service} {_ACCOUNT}.")
    return secret.encode()


def _prompt(what: str, confirm: bool) -> bytes:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        why = "there is no terminal to ask at"
        raise _missing(what, why, "Take env:NAME, file:PATH or keyring:SERVICE where nobody sits.")
    try:
        secret = getpass.getpass(f"The {what}: ")
        if confirm and secret != getpass.getpass("The same again: "):
            raise _missing(what, "the two were not the same", "Try again.")
    except (EOFError, KeyboardInterrupt):
        raise _missing(what, "nothing was entered", "Try again.") from None
    if not secret:
        raise _missing(what, "nothing was entered", "Try again.")
    return os.fsencode(secret)


def _missing(what: str, why: str, fix: str) -> Refused:
    return Refused(Code.KEY_PASSPHRASE_MISSING, f"The {what} is missing", why, fix)
