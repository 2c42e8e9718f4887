"""HTTP answers as values (RFC 9110, RFC 9111), and what of them a conditional request gets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class HttpReply:
    """Status, headers and body. ``allow`` names methods, for 405."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Document:
    """Something that may be fetched: it was made at ``modified``, and caches may keep it until ``expires``."""

    media_type: bytes
    body: bytes
    etag: bytes
    modified: datetime
    expires: datetime


@lru_cache(maxsize=1024)
def etag_of(body: bytes) -> bytes:
    """A strong entity tag for these octets."""
    return b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode()


def fetched(document: Document, request: Mapping[bytes, bytes], now: datetime) -> HttpReply:
    """200 with the document, or 304 where the client has it already (RFC 9110 §13.2.2)."""
    now = now.replace(microsecond=0)
    age = max(0, int((document.expires - now).total_seconds()))
    headers = (
        (b"etag", document.etag),
        (b"last-modified", _http_date(document.modified)),
        (b"expires", _http_date(now + timedelta(seconds=age))),
        (b"cache-control", b"max-age=%d, public, no-transform, must-revalidate" % age),
    )
    if _has(document, request):
        return HttpReply(304, headers)
    length = (b"content-length", b"%d" % len(document.body))
    return HttpReply(200, ((b"content-type", document.media_type), length, *headers), document.body)


def uncached(media_type: bytes, body: bytes) -> HttpReply:
    """200 with something that is for this client and this moment."""
    length = (b"content-length", b"%d" % len(body))
    return HttpReply(200, ((b"content-type", media_type), length, (b"cache-control", b"no-store")), body)


def refused(status: int, why: str, *headers: tuple[bytes, bytes]) -> HttpReply:
    """A status of 400 and above, with a line of text."""
    body = f"{why}\n".encode()
    fixed = ((b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)))
    return HttpReply(status, (*fixed, *headers), body)


def _has(document: Document, request: Mapping[bytes, bytes]) -> bool:
    tags = request.get(b"if-none-match")
    if tags is not None:
        # The weak comparison of RFC 9110 §8.8.3.2.
        wanted = [tag.strip().removeprefix(b"W/") for tag in tags.split(b",")]
        return document.etag in wanted or b"*" in wanted
    since = request.get(b"if-modified-since")
    if since is None:
        return False
    try:
        found = parsedate_to_datetime(since.decode("ascii"))
        return document.modified.replace(microsecond=0) <= found.replace(tzinfo=found.tzinfo or UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return False


@lru_cache(maxsize=1024)
def _http_date(at: datetime) -> bytes:
    return format_datetime(at.astimezone(UTC), usegmt=True).encode()
