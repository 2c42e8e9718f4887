"""Operations over the control socket: asked, refused, and not broken by what is sent."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from handclasp.app import control
from handclasp.app.settings import Settings
from handclasp.app.site import Site
from handclasp.app.state import StateDirectory
from handclasp.dataplane.unixpath import short
from handclasp.findings import Code, InvalidSetting, Refused

T = TypeVar("T")


class Place(Protocol):
    state: StateDirectory
    settings: Callable[[], Settings]
    perform: Callable[..., Coroutine[Any, Any, dict[str, Any]]]

    def with_site(self, scenario: Callable[[Site], Awaitable[T]]) -> T: ...


def served(place: Place, scenario: Callable[[], Awaitable[T]]) -> T:
    """Run a scenario while the site answers on its socket."""

    async def scene(site: Site) -> T:
        server = await control.serve(site.vault, site)
        try:
            return await scenario()
        finally:
            server.close()

    return place.with_site(scene)


async def say(place: Place, data: bytes) -> bytes:
    """Send these bytes, and return all that is answered."""
    with short(place.state.control_socket) as address:
        reader, writer = await asyncio.open_unix_connection(address)
    try:
        with suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
        answer = b""
        with suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(-1), 5)
        return answer
    finally:
        writer.close()


def test_the_one_who_holds_the_lock_answers(place: Place) -> None:
    """While the directory is held, an operation is done by its holder, and its result comes back."""
    told = served(place, lambda: place.perform("client.list"))
    assert told == {"clients": []}


def test_without_a_holder_it_is_done_here(place: Place) -> None:
    """The same function, in this process."""
    assert asyncio.run(place.perform("client.list")) == {"clients": []}


def test_a_refusal_comes_back_whole(place: Place) -> None:
    """Code, what, why and fix."""
    with pytest.raises(Refused) as caught:
        served(place, lambda: place.perform("client.show", name="nobody"))
    refused = caught.value
    assert (refused.code, refused.what, refused.why, refused.fix) == (
        Code.REQUEST_IDENTITY_UNKNOWN,
        "There is no caller nobody",
        "no certificate was ever issued to spiffe://example.org/nobody",
        "See the callers: handclasp client list.",
    )


def test_an_invalid_setting_comes_back_whole(place: Place) -> None:
    """Path, why and what is allowed, as it would be raised here."""
    raised = []
    for run in (asyncio.run, lambda coroutine: served(place, lambda: coroutine)):
        with pytest.raises(InvalidSetting) as caught:
            run(place.perform("client.show", name="a//b"))
        raised.append((caught.value.path, caught.value.why, caught.value.allowed))
    assert raised[0] == raised[1]


BAD = {
    "unknown operation": b'{"operation": "format disk", "arguments": {}}\n',
    "no operation": b'{"arguments": {}}\n',
    "operation of another type": b'{"operation": [], "arguments": {}}\n',
    "arguments of another type": b'{"operation": "client.list", "arguments": 7}\n',
    "unknown argument": b'{"operation": "client.list", "arguments": {"x": 1}}\n',
    "missing argument": b'{"operation": "client.show", "arguments": {}}\n',
    "argument of another type": b'{"operation": "client.show", "arguments": {"name": 7}}\n',
    "broken JSON": b"{\n",
    "not UTF-8": b"\xff\xfe\n",
    "not an object": b"[]\n",
    "null": b"null\n",
    "deep": b"[" * 100_000 + b"\n",
    "empty": b"\n",
}


@pytest.mark.parametrize("line", BAD.values(), ids=BAD.keys())
def test_what_cannot_be_read_is_refused(place: Place, line: bytes) -> None:
    """One line, a refusal in our words; the server goes on."""

    async def scene() -> tuple[bytes, dict[str, Any]]:
        return await say(place, line), await place.perform("client.list")

    answer, after = served(place, scene)
    assert json.loads(answer)["refused"]["code"] in {Code.GATEWAY_BAD_REQUEST, Code.GATEWAY_OTHER}
    assert after == {"clients": []}


def test_a_line_longer_than_any_file_ends_the_connection(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """It is not read to its end, and said in the log; the server goes on."""

    async def scene() -> tuple[bytes, dict[str, Any]]:
        return await say(place, b'"' + b"x" * (65 << 20) + b'"\n'), await place.perform("client.list")

    assert served(place, scene) == (b"", {"clients": []})
    assert [r.message.split(":")[0] for r in caplog.records if r.name == "handclasp.control"] == [
        "a control connection failed"
    ]


def test_a_caller_who_says_nothing_is_nobodys_trouble(place: Place) -> None:
    """Connections that stay silent or go away hold nobody up."""

    async def scene() -> dict[str, Any]:
        silent = socket.socket(socket.AF_UNIX)
        with short(place.state.control_socket) as address:
            silent.connect(address)
        await say_and_leave()
        told = await place.perform("client.list")
        silent.close()
        return told

    async def say_and_leave() -> None:
        with short(place.state.control_socket) as address:
            _, writer = await asyncio.open_unix_connection(address)
        writer.write(b'{"opera')
        writer.close()

    assert served(place, scene) == {"clients": []}


@pytest.mark.parametrize("mask", [0o000, 0o077], ids=["umask 000", "umask 077"])
def test_the_socket_is_its_owners(place: Place, mask: int) -> None:
    """0600 when it is there, and the umask is afterwards what it was."""

    async def scene() -> tuple[str, int]:
        after = os.umask(mask)
        return oct(stat.S_IMODE(place.state.control_socket.stat().st_mode)), after

    before = os.umask(mask)
    try:
        assert served(place, scene) == ("0o600", mask)
    finally:
        os.umask(before)


FROM_THE_FIRST_MOMENT = """
import asyncio, os, stat, sys
from pathlib import Path
from types import SimpleNamespace
from handclasp.app import control
from handclasp.app.state import StateDirectory

state, seen = StateDirectory(Path(sys.argv[1])), []

def look(event, arguments):
    if seen and event not in ("os.stat", "os.chmod"):  # the first entry says that the test has begun
        try:
            seen.append(stat.S_IMODE(os.stat(state.control_socket).st_mode))
        except FileNotFoundError:
            pass

async def scene():
    state.path.mkdir()
    sys.addaudithook(look)
    seen.append(0)
    server = await control.serve(SimpleNamespace(state=state))
    open(os.devnull).close()
    server.close()

os.umask(0)
asyncio.run(scene())
print(sorted({oct(mode) for mode in seen[1:]}))
"""


def test_the_socket_is_never_open_to_others(tmp_path: Path) -> None:
    """Bound with its mode: with umask 000, not even a moment before it is listened on is it anybody's."""
    command = [sys.executable, "-c", FROM_THE_FIRST_MOMENT, str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "['0o600']\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_another_user_gets_no_answer(place: Place, tmp_path: Path) -> None:
    """Also where the file modes would let it in: the peer's user is checked."""

    async def scene() -> int:
        for path in (place.state.path, *place.state.path.parents):
            if path.stat().st_uid == os.geteuid() and path != Path("/"):
                path.chmod(path.stat().st_mode | 0o755)
        place.state.control_socket.chmod(0o666)
        pid = os.fork()
        if pid == 0:
            status = 9
            try:
                os.setuid(65534)
                with socket.socket(socket.AF_UNIX) as caller:
                    caller.settimeout(5)
                    caller.connect(str(place.state.control_socket))
                    caller.sendall(b'{"operation": "client.list", "arguments": {}}\n')
                    status = 1 if caller.recv(100) else 0
            except (BrokenPipeError, ConnectionResetError):
                status = 0
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, pid, 0))[1])

    assert served(place, scene) == 0


def test_a_stale_socket_is_replaced(place: Place) -> None:
    """What kill -9 left behind is in nobody's way."""
    place.state.prepare()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(place.state.control_socket))
    assert served(place, lambda: place.perform("client.list")) == {"clients": []}


def test_a_directory_with_a_long_path(place: Place, tmp_path: Path) -> None:
    """A path of 200 bytes and more, longer than a socket's address can be, works end to end."""
    long = tmp_path / ("d" * 100) / ("e" * 100) / "state"
    place.state = StateDirectory(long)
    assert len(os.fsencode(place.state.control_socket)) > 200
    assert served(place, lambda: place.perform("client.list")) == {"clients": []}
    assert asyncio.run(place.perform("client.list")) == {"clients": []}


def test_an_answer_longer_than_a_line_comes_through(place: Place) -> None:
    """A list of many callers is longer than what a line may be in the other direction."""

    async def scene(site: Site) -> int:
        site.report = _long
        server = await control.serve(site.vault, site)
        try:
            told = await place.perform("status")
        finally:
            server.close()
        return len(told["gateway"]["long"])

    async def _long() -> dict[str, object]:
        return {"long": "x" * 2_000_000}

    assert place.with_site(scene) == 2_000_000
