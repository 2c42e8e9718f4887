"""What harms a PEM file though its contents are there: found in its octets, with the line and the command that mends.

``containers.read`` reads past nearly all of it; most programs do not. ERROR is what OpenSSL 3 fails at or passes over
in silence (each was tried), WARNING what other readers fail at, NOTE what is only unusual.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from handclasp.doctor.diagnosis import Fix, Severity, Side
from handclasp.pki import armour

MAX_LINES: Final = 200_000
_MAX_DAMAGES: Final = 20
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_LINE: Final = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 .]{1,64})-----")
_NEARLY: Final = re.compile(rb"(?:-{1,8}|\xe2\x80[\x93\x94])[ ]?(?:BEGIN|END) [A-Z0-9 ]{0,40}(?:CERTIFICATE|KEY|CRL)\b")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
_MARKUP: Final = re.compile(rb"<(?:!doctype|html|head|body|\?xml)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing: what it is, in which line (from 1; None: the whole file), how bad, and the commands that mend it."""

    what: str
    line: int | None
    severity: Severity
    fix: Fix


def damages(name: str, data: bytes, side: Side = Side.CLIENT) -> tuple[Damage, ...]:
    """All damage in a file that is PEM or was meant to be; nothing for DER. Never raises; at most twenty."""
    if data[:1] == b"\x30" and armour.BEGIN not in data:
        return ()
    found: list[Damage] = []
    for one in _each(name, data, side):
        if not any(one.what == other.what for other in found):
            found.append(one)
        if len(found) >= _MAX_DAMAGES:
            break
    return tuple(found)


def is_markup(data: bytes) -> bool:
    """Whether it is a web page, such as the error page of a download, and not what was asked for."""
    return _MARKUP.match(data[:200].lstrip(_UTF8_MARK + b" \t\r\n")) is not None


def rewritten(name: str, side: Side = Side.CLIENT) -> Fix:
    """The fix for whatever our reader reads past."""
    new = shlex.quote(mended(name))
    command = f"handclasp convert {shlex.quote(name)} --to pem --out {new}"
    return Fix(side, f"Write the file anew and use that: {command}", "handclasp", (command,))


def mended(name: str, ending: str = ".fixed.pem") -> str:
    """A name for the file that a fix writes, beside the one that it reads."""
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}{ending}")) if path.name else f"new{ending}"


def _each(name: str, data: bytes, side: Side) -> Iterator[Damage]:
    quoted, new = shlex.quote(name), shlex.quote(mended(name))
    if data[:2] in _UTF16_MARKS:
        command = f"iconv -f UTF-16 -t US-ASCII {quoted} > {new}"
        yield Damage(
            "it is text in UTF-16, as PowerShell's > and Notepad write it: TLS programs find nothing in it",
            1,
            Severity.ERROR,
            Fix(side, f"Write it in ASCII: {command}", "", (command,)),
        )
        data = armour.ascii_text(data)
    if data.startswith(_UTF8_MARK):
        command = f"sed '1s/^\\xEF\\xBB\\xBF//' {quoted} > {new}"
        yield Damage(
            "it begins with a mark of byte order (UTF-8 BOM): OpenSSL before 3.0 and others do not see its first block",
            1,
            Severity.WARNING,
            Fix(side, f"Take the three octets away: {command}", "", (command,)),
        )
        data = data[3:]
    if b"\\n" in data and b"-----\\n" in data:
        command = f"sed 's/\\\\n/\\n/g' {quoted} > {new}"
        yield Damage(
            r"its line ends are written as the two characters \n, as from an environment variable or JSON",
            data.count(b"\n", 0, data.find(b"-----\\n")) + 1,
            Severity.ERROR,
            Fix(side, f"Make them line ends: {command}", "", (command,)),
        )
        return
    if b"\r" in data:
        if b"\n" not in data and armour.BEGIN in data:
            command = f"tr '\\r' '\\n' < {quoted} > {new}"
            yield Damage(
                "its lines end in CR alone: to TLS programs it is one line, and they find nothing in it",
                1,
                Severity.ERROR,
                Fix(side, f"Make them line ends: {command}", "", (command,)),
            )
            data = data.replace(b"\r", b"\n")
        elif armour.BEGIN in data:
            command = f"tr -d '\\r' < {quoted} > {new}"
            yield Damage(
                "its lines end in CR LF, as Windows writes them; OpenSSL takes that; scripts, and passphrase files "
                "made of it, do not",
                data.count(b"\n", 0, data.find(b"\r")) + 1,
                Severity.NOTE,
                Fix(side, f"Take the CR away: {command}", "", (command,)),
            )
    yield from _lines(name, data, side)


def _lines(name: str, data: bytes, side: Side) -> Iterator[Damage]:
    """Reads line by line as OpenSSL does (pem_lib.c): a block begins and ends with a line of its own."""
    fix = rewritten(name, side)
    label: bytes | None = None
    begun, empty, headers = 0, 0, False
    for number, raw in enumerate(data.split(b"\n", MAX_LINES)[:MAX_LINES], 1):
        line = raw.rstrip(b" \t\r")
        if line.startswith(_UTF8_MARK):
            line = line.removeprefix(_UTF8_MARK)
            what = "a mark of byte order (UTF-8 BOM) stands inside it, and some programs do not see the block behind it"
            yield Damage(what, number, Severity.WARNING, fix)
        whole = _LINE.fullmatch(line)
        if whole is None and (found := _LINE.search(line)) is not None:
            yield Damage(_misplaced(line, found), number, Severity.ERROR, fix)
            label = _after(line)
            begun, empty, headers = number, 0, False
        elif whole is None and _NEARLY.search(line) is not None and _MARKUP.search(line) is None:
            yield Damage(
                "a line of BEGIN or END is not written with five hyphens on each side", number, Severity.ERROR, fix
            )
            label = None
        elif whole is not None and whole[1] == b"BEGIN":
            if label is not None:
                yield _unended(name, label, begun, side)
            label, begun, empty, headers = whole[2], number, 0, False
        elif whole is not None:
            if label is not None and whole[2] != label:
                what = f"a block begins as {_text(label)} and ends as {_text(whole[2])}"
                yield Damage(what, number, Severity.ERROR, fix)
            label = None
        elif label is not None:
            headers = headers or b":" in line
            if not line:
                empty = number
            elif empty > begun + 1 and not headers:
                yield Damage("there is an empty line inside a block", empty, Severity.ERROR, fix)
                empty = 0
            if line and line[:1] != b"-" and not headers and _BASE64.fullmatch(line.strip()) is None:
                what = f"a line of a block {_text(label)} has characters that are not base64"
                yield Damage(what, number, Severity.ERROR, anew(name, side))
    if label is not None:
        yield _unended(name, label, begun, side)


def _misplaced(line: bytes, found: re.Match[bytes]) -> str:
    if found[1] == b"END" and found.start() == 0 and _LINE.match(line, found.end()) is not None:
        return "the line end between an END and the next BEGIN is missing, as `cat` leaves it out"
    if line.count(b"-----BEGIN ") and line.count(b"-----END "):
        return "its line ends have become spaces: a whole block stands in one line"
    if not line[: found.start()].strip():
        return "there are spaces before a line of BEGIN or END, and TLS programs do not see it then"
    return "a line of BEGIN or END has other text beside it, and TLS programs do not see it then"


def _after(line: bytes) -> bytes | None:
    """The label of the block that is open at the end of a line."""
    found = list(_LINE.finditer(line))
    return found[-1][2] if found and found[-1][1] == b"BEGIN" else None


def _unended(name: str, label: bytes, line: int, side: Side) -> Damage:
    what = f"a block {_text(label)} has no line of END: the file is cut off there"
    return Damage(what, line, Severity.ERROR, anew(name, side))


def anew(name: str, side: Side = Side.CLIENT) -> Fix:
    """The fix for what nobody can read: where the file came from there is perhaps a whole one."""
    command = f"handclasp inspect {shlex.quote(name)}"
    what = f"Get the file anew from where it came from, in binary mode and whole, and look at it: {command}"
    return Fix(side, what, "handclasp", (command,))


def _text(label: bytes) -> str:
    return label.decode("ascii", "replace")
