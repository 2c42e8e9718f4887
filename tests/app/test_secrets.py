"""Where something fails that has to do with a secret, the secret is in no message, no trace and no log."""

from __future__ import annotations

import asyncio
import base64
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from handclasp.app import backups, control
from handclasp.app.state import StateDirectory
from handclasp.pki import pkcs8
from handclasp.pki.keys import KeyType, generate, private_pem
from handclasp.pki.pkcs8 import Encryption
from handclasp.testing.requests import a_request

if TYPE_CHECKING:
    from tests.app.conftest import Place

    from handclasp.app.site import Site

SECRET = "Tr0ub4dor-and-3"
SPELLED = (SECRET, SECRET.encode().hex(), base64.b64encode(SECRET.encode()).decode(), repr(SECRET.encode()))


def importing(place: Place, *files: bytes) -> None:
    """Import these with the secret as passphrase."""
    place.do(
        "ca.import",
        files=[one.hex() for one in files],
        passphrase=SECRET.encode().hex(),
        role=None,
        trust_domain="example.org",
    )


def restoring(place: Place) -> None:
    """Restore a backup whose passphrase is another one."""
    file = place.state.path.parent / "kept.tar"
    place.do("backup", file=str(file), settings="none.yaml", passphrase=b"right".hex())
    new = StateDirectory(place.state.path.parent / "new")
    asyncio.run(backups.restore(new, place.settings, file, SECRET.encode))


def opening(place: Place) -> None:
    """Issue, with keys under another passphrase than the one that is in the environment."""
    place.do("ca.passphrase", new=b"right".hex())
    place.issue()


def unwritable(place: Place) -> None:
    """Put the keys under a passphrase where the new files cannot be written."""
    (place.state.authority_keys / ".issuing.key.next").mkdir()
    place.do("ca.passphrase", new=SECRET.encode().hex())


def settled(place: Place, what: str) -> None:
    """Settings that hold the secret itself."""
    place.text += what
    place.issue()


FAILING: dict[str, Callable[[Place], object]] = {
    "wrong passphrase": opening,
    "import of nothing": lambda place: importing(place, b"hello"),
    "import with a wrong passphrase": lambda place: importing(
        place, private_pem(generate(KeyType.EC_P256), Encryption(b"another", b"s" * 16, b"i" * 16))
    ),
    "import of a key in the place of a certificate": lambda place: importing(
        place, private_pem(generate(KeyType.EC_P256))
    ),
    "restore": restoring,
    "not writable": unwritable,
    "not in hex": lambda place: place.do("ca.passphrase", new=SECRET),
    "in the settings": lambda place: settled(place, f"authority: {{keys: {{passphrase: '{SECRET}'}}}}\n"),
    "as the place of a PIN": lambda place: settled(
        place, f"authority: {{keys: {{custody: pkcs11, module: /nowhere, token: t, pin: 'env:{SECRET}'}}}}\n"
    ),
    "in the address of the database": lambda place: settled(
        place, f"database: postgresql://a:{SECRET}@127.0.0.1:1/n\n"
    ),
    "an unknown argument": lambda place: place.do("ca.passphrase", new=SECRET.encode().hex(), old=SECRET),
}


def everything(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    """All that could be seen of it: what it says, what it is, its trace, and what was logged meanwhile."""
    logged = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    return "\n".join((str(error), repr(error), *traceback.format_exception(error), logged))


@pytest.mark.parametrize("fail", FAILING.values(), ids=FAILING.keys())
def test_a_passphrase_is_not_repeated(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fail: Callable[[Place], object],
) -> None:
    """Whichever way it fails, here."""
    caplog.set_level(logging.DEBUG)
    place.issue()
    monkeypatch.setenv("HANDCLASP_CA_PASSPHRASE", SECRET)
    with pytest.raises(Exception, match=r".") as caught:
        fail(place)
    said = everything(caught.value, caplog) + "".join(capfd.readouterr())
    assert [one for one in SPELLED if one in said] == []


@pytest.mark.parametrize("arguments", [{"new": SECRET}, {"new": SECRET, "old": SECRET}], ids=["value", "name"])
def test_nor_by_the_one_who_is_asked(place: Place, caplog: pytest.LogCaptureFixture, arguments: dict[str, Any]) -> None:
    """Over the control socket: the answer and the log have a trace, and not what was sent."""
    caplog.set_level(logging.DEBUG)

    async def scenario(site: Site) -> BaseException:
        server = await control.serve(site.vault, site)
        try:
            with pytest.raises(Exception, match=r".") as caught:
                await place.perform("ca.passphrase", **arguments)
        finally:
            server.close()
        return caught.value

    said = everything(place.with_site(scenario), caplog)
    assert "the operation ca.passphrase failed" in said
    assert [one for one in SPELLED if one in said] == []


def lines_of(key: bytes) -> list[str]:
    """What of a key file may stand nowhere: its content, line by line."""
    return [line for line in key.decode().splitlines() if not line.startswith("-----")]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-60],
        lambda data: data.replace(b"PRIVATE", b"PUBLIC"),
        lambda data: data.replace(b"\n", b"\n\n\x00", 2),
        lambda data: base64.b64decode(b"".join(data.splitlines()[1:-1])),
    ],
    ids=["cut", "label", "NUL", "DER"],
)
def test_a_key_file_that_cannot_be_read_is_not_quoted(
    place: Place, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    """What a parser says of it may hold parts of it."""
    caplog.set_level(logging.DEBUG)
    place.issue()
    path = place.state.authority_keys / "issuing.key"
    key = path.read_bytes()
    path.write_bytes(damage(key))
    with pytest.raises(Exception, match=r".") as caught:
        place.issue()
    said = everything(caught.value, caplog)
    assert [line for line in lines_of(key) if line in said] == []
    assert key[-60:].hex() not in said


def test_nothing_that_is_told_has_a_key(place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither an answer nor the log, whatever is asked; nor a backup's files, although the keys here lie open."""
    caplog.set_level(logging.DEBUG)
    told: list[object] = [place.issue()]
    told += [place.do(operation) for operation in ("ca.show", "ca.bundle", "client.list", "status", "audit.checkpoint")]
    told.append(place.do("audit.export", kind=None, subject=None, after=None))
    told.append(place.do("rotate.start", what="issuing"))
    told.append(place.do("client.add", name="bob", csr=a_request(), dns=[], seconds=None))
    told.append(place.do("backup", file=str(tmp_path / "b.tar"), settings="none.yaml", passphrase=b"right".hex()))
    keys = [path.read_bytes() for path in place.state.authority_keys.glob("*.key")]
    assert len(keys) == 4
    said = str(told) + caplog.text
    content = (tmp_path / "b.tar").read_bytes()
    for key in keys:
        for line in lines_of(key):
            assert line not in said
            assert line.encode() not in content
        number = pkcs8.load_pem(key, None).private_numbers().private_value  # type: ignore[union-attr]
        assert number.to_bytes(48 if number >> 256 else 32, "big") not in content
