"""Text around binary things: PEM blocks in whatever surroundings (RFC 7468), and bare base64."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator

BEGIN = b"-----BEGIN "
_TOKEN = re.compile(rb"-----(BEGIN|END) ([^\r\n-]{1,64})-----")


def ascii_text(data: bytes) -> bytes:
    """Text as ASCII bytes: without a mark of byte order, and out of UTF-16, as Windows' shells write it."""
    if data[:3] == b"\xef\xbb\xbf":
        return data[3:]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace").encode("ascii", "replace")
    return data


def blocks(text: bytes, fault: Callable[[str], None]) -> Iterator[tuple[str, bytes]]:
    """The label and the inside of each block between BEGIN and END (RFC 7468 §2), whatever stands around them.

    Takes time in proportion to the text. ``fault`` is told of blocks without an end, and of ends of another label.
    """
    begun: re.Match[bytes] | None = None
    for token in _TOKEN.finditer(text):
        if token[1] == b"BEGIN":
            if begun is not None:
                fault(f"a block {_label(begun)} has no end")
            begun = token
        elif begun is not None:
            if begun[2] != token[2]:
                fault(f"a block begins as {_label(begun)} and ends as {_label(token)}")
            yield _label(begun), text[begun.end() : token.start()]
            begun = None
    if begun is not None:
        fault(f"a block {_label(begun)} has no end: the file is cut off")


def base64_bytes(text: bytes) -> bytes | None:
    """The bytes that base64 text stands for, with whatever white space; headers before an empty line are left out.

    None where it is no base64.
    """
    head, separator, rest = text.lstrip().partition(b"\n\n" if b"\r" not in text else b"\r\n\r\n")
    if separator and b":" in head:
        text = rest
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        return None


def _label(token: re.Match[bytes]) -> str:
    return token[2].decode("ascii", "replace")
