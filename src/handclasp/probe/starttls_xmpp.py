"""STARTTLS of XMPP client streams (RFC 6120 §5).

Of XML only tags are read, one by one: a stream has no comments, no processing instructions, no document type and no
entities of its own (RFC 6120 §11.1), and which element comes is all that counts here. Errors are
PreludeFailed(PROTO_STARTTLS_REFUSED) with what the server said.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from html import escape

from handclasp.findings import Code
from handclasp.probe.dialogue import PreludeFailed, Script, Step, Until, printable, stranger

MAX_TAG = 4096
"""Octets of a tag, and of the text before it."""
MAX_TAGS = 200
"""Of one element."""

_TAG = re.compile(rb"<(\??|/?)(?:[^\s<>/:=\"'?!]+:)?([^\s<>/:=\"'?!]+)(?:[\s/?][^<]*)?>")
_QUOTE = re.compile(rb"[\"']")
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")


@dataclass(frozen=True, slots=True)
class _Tag:
    """``name`` is without its prefix; ``<a/>`` both begins and ends an element. ``raw`` has the text before it."""

    name: str
    begins: bool
    ends: bool
    raw: bytes


def xmpp(name: str) -> Script:
    """RFC 6120 §5.4."""
    yield (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
        f"xmlns:stream='http://etherx.jabber.org/streams' to='{escape(name)}' version='1.0'>"
    ).encode("ascii", "xmlcharrefreplace")
    what = "the stream of the XMPP server"
    tag = yield from _tag(what, b"< \t\r\n")
    if tag.raw.lstrip().startswith(b"<?xml"):
        tag = yield from _tag(what)
    if tag.name != "stream" or not tag.begins or tag.ends:
        raise _refused(stranger(what, tag.raw))
    name_, inside, said = yield from _element("the features of the XMPP server")
    if name_ != "features":
        raise _refused(f'the XMPP server refused the stream: it said "{said}"')
    if "starttls" not in inside:
        raise _refused(f'the XMPP server does not offer STARTTLS; it offers "{said}"')
    yield b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    name_, _, said = yield from _element("the XMPP server's answer to STARTTLS")
    if name_ != "proceed":
        raise _refused(f'the XMPP server refused STARTTLS: it said "{said}"')


def _element(what: str) -> Generator[Step, bytes, tuple[str, tuple[str, ...], str]]:
    """The next element to its end: its name, the names of all elements in it, and how it looks."""
    tags: list[_Tag] = []
    depth = 0
    while len(tags) < MAX_TAGS:
        tag = yield from _tag(what)
        tags.append(tag)
        depth += tag.begins - tag.ends
        if depth <= 0:
            said = printable(b"".join(one.raw for one in tags))
            if depth < 0:
                raise _refused(f'the XMPP server ended the stream: it said "{said}"')
            return tags[0].name, tuple(one.name for one in tags[1:]), said
    raise _refused(f"{what} have more than {MAX_TAGS} tags")


def _tag(what: str, first: bytes = b"") -> Generator[Step, bytes, _Tag]:
    """The next tag. A ``>`` that stands in text or between quotes does not end it."""
    text = yield Until(b"<", MAX_TAG, what, first)
    raw, end = text[-1:], b">"
    while True:
        if len(raw) >= MAX_TAG:
            raise _refused(f'{what} has a tag of more than {MAX_TAG} octets: it said "{printable(raw)}"')
        piece = yield Until(end, MAX_TAG - len(raw), what)
        raw += piece
        if end != b">":  # the quotes are closed
            end = b">"
            continue
        opened = _QUOTE.search(_QUOTED.sub(b"", piece))
        if opened is None:
            break
        end = opened[0]
    match = _TAG.fullmatch(raw)
    if match is None:
        raise _refused(stranger(what, text[:-1] + raw))
    ends = match[1] == b"/" or raw.endswith(b"/>")
    return _Tag(match[2].decode("utf-8", "replace"), match[1] != b"/", ends, text[:-1] + raw)


def _refused(what: str) -> PreludeFailed:
    return PreludeFailed(Code.PROTO_STARTTLS_REFUSED, what)
