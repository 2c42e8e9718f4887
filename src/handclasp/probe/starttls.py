"""STARTTLS: how a protocol that begins in the clear changes over to TLS. Here those of lines of text: SMTP, IMAP, POP3
and FTP; XMPP and the binary ones have modules of their own.

The change is asked for without asking first whether it is offered, except in SMTP, where EHLO comes before it anyway:
the answer decides, and every question costs a round trip. Errors are PreludeFailed(PROTO_STARTTLS_REFUSED) with what
the server said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType

from handclasp.findings import Code
from handclasp.probe.dialogue import PreludeFailed, Script, Step, Until, printable, stranger
from handclasp.probe.starttls_binary import ldap, mysql, postgres
from handclasp.probe.starttls_xmpp import xmpp
from handclasp.probe.target import StartTLS

MAX_LINE = 2048
"""Octets. RFC 5321 §4.5.3.1.5 has 512 and RFC 2449 §4 too, but greetings are longer."""
MAX_LINES = 100
"""Of one answer."""

_CLIENT = b"handclasp.invalid"
"""Whom EHLO names: a name that is nobody's (RFC 2606 §2)."""
_LINE = re.compile(rb"([1-5][0-9]{2})(?:([ -])([^\r\n]*))?\r?\n")


def smtp(name: str) -> Script:
    """RFC 3207, over RFC 5321."""
    code, said = yield from _reply("the greeting of the SMTP server")
    if code != 220:
        raise _refused(f'the SMTP server takes no callers: it said "{code} {_text(said)}"')
    yield b"EHLO " + _CLIENT + b"\r\n"
    code, said = yield from _reply("the SMTP server's answer to EHLO")
    if code != 250:
        raise _refused(f'the SMTP server refused EHLO: it said "{code} {_text(said)}"')
    if not any(line.split()[:1] == [b"STARTTLS"] for line in map(bytes.upper, said[1:])):
        offered = _text(said[1:], ", ") or "nothing"
        raise _refused(f'the SMTP server does not offer STARTTLS; it offers "{offered}"')
    yield b"STARTTLS\r\n"
    code, said = yield from _reply("the SMTP server's answer to STARTTLS")
    if code != 220:
        raise _refused(f'the SMTP server refused STARTTLS: it said "{code} {_text(said)}"')


def ftp(name: str) -> Script:
    """RFC 4217 §4, over RFC 959; the control connection."""
    code, said = yield from _reply("the greeting of the FTP server")
    if code == 120:  # ready in some minutes, which the deadline decides on (RFC 959 §5.4)
        code, said = yield from _reply("the greeting of the FTP server")
    if code != 220:
        raise _refused(f'the FTP server takes no callers: it said "{code} {_text(said)}"')
    yield b"AUTH TLS\r\n"
    code, said = yield from _reply("the FTP server's answer to AUTH TLS")
    if code != 234:
        raise _refused(f'the FTP server refused AUTH TLS: it said "{code} {_text(said)}"')


def imap(name: str) -> Script:
    """RFC 9051 §6.2.1."""
    what = "the greeting of the IMAP server"
    greeting = yield Until(b"\n", MAX_LINE, what, b"*")
    kind = greeting.upper().split()[:2]
    if kind == [b"*", b"PREAUTH"]:
        raise _refused(f'the IMAP server has let us in already, so TLS cannot begin: it said "{printable(greeting)}"')
    if kind == [b"*", b"BYE"]:
        raise _refused(f'the IMAP server takes no callers: it said "{printable(greeting)}"')
    if kind != [b"*", b"OK"]:
        raise _refused(stranger(what, greeting))
    yield b"h1 STARTTLS\r\n"
    for _ in range(MAX_LINES):
        line = yield Until(b"\n", MAX_LINE, "the IMAP server's answer to STARTTLS")
        if line.startswith(b"* "):  # said in between, to anybody
            continue
        if line.upper().split()[:2] != [b"H1", b"OK"]:
            raise _refused(f'the IMAP server refused STARTTLS: it said "{printable(line)}"')
        return
    raise _refused(f"the IMAP server's answer to STARTTLS has more than {MAX_LINES} lines")


def pop3(name: str) -> Script:
    """RFC 2595 §4, over RFC 1939."""
    what = "the greeting of the POP3 server"
    greeting = yield Until(b"\n", MAX_LINE, what, b"+-")
    if greeting.startswith(b"-ERR"):
        raise _refused(f'the POP3 server takes no callers: it said "{printable(greeting)}"')
    if not greeting.startswith(b"+OK"):
        raise _refused(stranger(what, greeting))
    yield b"STLS\r\n"
    answer = yield Until(b"\n", MAX_LINE, "the POP3 server's answer to STLS")
    if not answer.startswith(b"+OK"):
        raise _refused(f'the POP3 server refused STLS: it said "{printable(answer)}"')


def _reply(what: str) -> Generator[Step, bytes, tuple[int, list[bytes]]]:
    """One reply of SMTP or FTP: its code, and its lines without it. It ends with the line that has the first one's
    code and no hyphen; in FTP the lines between may be anything (RFC 959 §4.2)."""
    lines: list[bytes] = []
    code = b""
    for _ in range(MAX_LINES):
        line = yield Until(b"\n", MAX_LINE, what, b"" if lines else b"12345")
        match = _LINE.fullmatch(line)
        if match is None and not lines:
            raise _refused(stranger(what, line))
        if match is None or (lines and match[1] != code):
            lines.append(line.strip())
            continue
        code = match[1]
        lines.append(match[3] or b"")
        if match[2] != b"-":
            return int(code), lines
    raise _refused(f"{what} has more than {MAX_LINES} lines")


def _text(lines: list[bytes], between: str = " ") -> str:
    return printable(between.encode().join(lines))


def _refused(what: str) -> PreludeFailed:
    return PreludeFailed(Code.PROTO_STARTTLS_REFUSED, what)


SCRIPTS: Mapping[StartTLS, Callable[[str], Script]] = MappingProxyType(
    {
        StartTLS.SMTP: smtp,
        StartTLS.IMAP: imap,
        StartTLS.POP3: pop3,
        StartTLS.FTP: ftp,
        StartTLS.LDAP: ldap,
        StartTLS.POSTGRES: postgres,
        StartTLS.MYSQL: mysql,
        StartTLS.XMPP: xmpp,
    }
)
"""The script of each protocol, for a server of this name."""
