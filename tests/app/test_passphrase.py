"""Where secrets are found, and that they are never shown."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError

from handclasp.app import passphrase
from handclasp.app.passphrase import Place, of_keys, parse, reader
from handclasp.findings import Code, InvalidSetting, Refused

WHAT = "passphrase of the authority's keys"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("prompt", Place("prompt")),
        ("env:HANDCLASP_CA_PASSPHRASE", Place("env", "HANDCLASP_CA_PASSPHRASE")),
        ("file:/run/secrets/a:b", Place("file", "/run/secrets/a:b")),
        ("file:secret", Place("file", "secret")),
        ("keyring:handclasp", Place("keyring", "handclasp")),
    ],
    ids=str,
)
def test_places(text: str, place: Place) -> None:
    """The four kinds of places, and back to the text."""
    assert (parse(text), str(place)) == (place, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "env:",
        "env:1A",
        "env:A B",
        "file:",
        "file:a\0b",
        "keyring:",
        "Prompt",
        "prompt:",
        "http://hunter2",
    ],
    ids=repr,
)
def test_what_is_no_place(text: str) -> None:
    """InvalidSetting with what may stand there; the text is not quoted, since it may be a passphrase."""
    with pytest.raises(InvalidSetting) as caught:
        parse(text)
    assert caught.value.allowed == "prompt, env:NAME, file:PATH or keyring:SERVICE"
    assert "hunter2" not in str(caught.value)


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable's value, as it is when it is asked for; none is Refused(KEY_PASSPHRASE_MISSING), which names it."""
    read = reader("env:MY_SECRET", WHAT)
    monkeypatch.setenv("MY_SECRET", "wörd")
    assert read() == "wörd".encode()
    for value in ("", None):
        monkeypatch.setenv("MY_SECRET", value) if value is not None else monkeypatch.delenv("MY_SECRET")
        with pytest.raises(Refused) as caught:
            read()
        assert (caught.value.code, caught.value.what) == (Code.KEY_PASSPHRASE_MISSING, f"The {WHAT} is missing")
        assert "MY_SECRET" in caught.value.why


@pytest.mark.parametrize(
    ("setting", "variable", "expected"),
    [(None, None, None), (None, "", None), (None, "a", b"a"), ("env:OTHER", "a", b"b"), ("env:OTHER", None, b"b")],
    ids=["nothing", "empty", "variable", "setting-first", "setting"],
)
def test_of_the_keys(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, variable: str | None, expected: bytes | None
) -> None:
    """The setting, else HANDCLASP_CA_PASSPHRASE, else the files are not encrypted."""
    monkeypatch.setenv("OTHER", "b")
    monkeypatch.delenv(passphrase.VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(passphrase.VARIABLE, variable)
    read = of_keys(setting)
    assert (read and read()) == expected


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"wort", b"wort"), (b"wort\n", b"wort"), (b"wort\r\n", b"wort"), (b" a b \nmore\n", b" a b ")],
    ids=repr,
)
def test_from_a_file(tmp_path: Path, content: bytes, secret: bytes) -> None:
    """Its first line without the end of the line, and with every space."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(0o400)
    assert reader(f"file:{path}", WHAT)() == secret


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644], ids=oct)
def test_a_file_that_others_can_use(tmp_path: Path, mode: int) -> None:
    """Refused, with how to close it; what is in it is not read out."""
    path = tmp_path / "secret"
    path.write_bytes(b"hunter2")
    path.chmod(mode)
    with pytest.raises(Refused) as caught:
        reader(f"file:{path}", WHAT)()
    assert (caught.value.why, caught.value.fix) == (
        f"{path} can be used by others (mode {mode:04o})",
        f"Keep it to yourself: chmod 600 {path}.",
    )


@pytest.mark.parametrize("kind", ["absent", "directory", "pipe", "empty", "long"])
def test_what_is_no_secret_file(tmp_path: Path, kind: str) -> None:
    """Refused(KEY_PASSPHRASE_MISSING), at once, and with the path."""
    path = tmp_path / "secret"
    if kind == "directory":
        path.mkdir(0o700)
    elif kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind != "absent":
        path.write_bytes(b"\nx" if kind == "empty" else b"x" * 5000)
        path.chmod(0o600)
    with pytest.raises(Refused) as caught:
        reader(f"file:{path}", WHAT)()
    assert (caught.value.code, str(path) in caught.value.why) == (Code.KEY_PASSPHRASE_MISSING, True)


class Drawer(KeyringBackend):
    """A keyring in memory, as those of the operating systems are used."""

    priority = 1.0

    def __init__(self, content: dict[tuple[str, str], str], broken: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.content = content
        self.broken = broken

    def get_password(self, service: str, username: str) -> str | None:
        if self.broken:
            raise KeyringError("locked")
        return self.content.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.content[service, username] = password


def test_from_the_keyring() -> None:
    """The password of the service and the user handclasp; none, or one that does not answer, is refused."""
    before = keyring.get_keyring()
    try:
        keyring.set_keyring(Drawer({("mine", "handclasp"): "wort"}))
        assert reader("keyring:mine", WHAT)() == b"wort"
        with pytest.raises(Refused) as caught:
            reader("keyring:other", WHAT)()
        assert caught.value.fix == "Put it there: keyring set other handclasp."
        keyring.set_keyring(Drawer({}, broken=True))
        with pytest.raises(Refused) as caught:
            reader("keyring:mine", WHAT)()
        assert caught.value.why == "the keyring of the system does not answer (KeyringError)"
    finally:
        keyring.set_keyring(before)


ASK = """
import sys
from handclasp.app.passphrase import reader
from handclasp.findings import Refused
read = reader("prompt", "PIN", confirm=sys.argv[1] == "twice")
try:
    print("answer", read(), read())
except Refused as refused:
    print("refused", refused.code, refused.why)
"""


@pytest.mark.parametrize(
    ("how", "typed", "said"),
    [
        ("once", ["wort"], "answer b'wort' b'wort'"),
        ("twice", ["wort", "wort"], "answer b'wort' b'wort'"),
        ("twice", ["wort", "other"], "refused KEY_PASSPHRASE_MISSING the two were not the same"),
        ("once", [""], "refused KEY_PASSPHRASE_MISSING nothing was entered"),
    ],
    ids=["once", "twice", "differs", "empty"],
)
def test_a_person_is_asked(how: str, typed: list[str], said: str) -> None:
    """At the terminal, without an echo, and once however often it is needed."""
    pid, master = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", ASK, how])
    screen = b""
    for number, text in enumerate(typed, 1):
        while screen.count(b": ") < number:
            screen += os.read(master, 1024)
        time.sleep(0.1)  # getpass empties the input just before it reads
        os.write(master, f"{text}\n".encode())
    try:
        while data := os.read(master, 1024):
            screen += data
    except OSError:
        pass
    os.close(master)
    assert os.waitpid(pid, 0)[1] == 0
    lines = [line.strip() for line in screen.decode().splitlines() if line.strip()]
    assert lines[0].startswith("The PIN:")
    assert lines[-1] == said
    assert not any(text and text in line for text in typed for line in lines[:-1])


def test_nobody_is_asked_without_a_terminal() -> None:
    """Refused(KEY_PASSPHRASE_MISSING); nothing waits for an answer that cannot come."""
    child = subprocess.run(
        [sys.executable, "-c", ASK, "once"], stdin=subprocess.DEVNULL, check=True, capture_output=True, text=True
    )
    assert child.stdout == "refused KEY_PASSPHRASE_MISSING there is no terminal to ask at\n"
