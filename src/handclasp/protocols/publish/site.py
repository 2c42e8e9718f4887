"""What is found under which path; the paths are those of ``authority.publication``.

``/crl/<issuer key id>[/<shard>].crl``, ``/ca/<key id>.cer``, ``/ocsp`` (POST) and ``/ocsp/<base64>`` (GET).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.authority.issue import Authority
from handclasp.authority.records import CrlRecord
from handclasp.protocols.ocsp.machine import from_path
from handclasp.protocols.ocsp.responder import Reply, Responder
from handclasp.protocols.publish.lists import Lists
from handclasp.protocols.publish.replies import Document, HttpReply, etag_of, fetched, refused, uncached

MAX_REQUEST: Final = 16 * 1024
"""Octets of an OCSP request."""

# How long a cache may go on giving out what was revoked since; asking again costs a 304.
_MAX_AGE = timedelta(seconds=60)
_CERTIFICATE_AGE = timedelta(days=1)

_CRL = re.compile(rb"/crl/([0-9a-f]{2,128})(?:/(0|[1-9][0-9]{0,5}))?\.crl")
_CERTIFICATE = re.compile(rb"/ca/([0-9a-f]{2,128})\.cer")
_OCSP_TYPE = b"application/ocsp-response"
_READ = (b"GET", b"HEAD")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request: the path as it was sent, header names in lower case. ``body`` is read for POST only."""

    method: bytes
    path: bytes
    headers: Mapping[bytes, bytes]
    body: bytes = b""


class Site:
    """Answers requests from ``lists`` and ``responder``; ``prefix`` is the path of the base URL, empty for ``/``."""

    def __init__(
        self, authority_source: Callable[[], Authority], lists: Lists, responder: Responder, *, prefix: str = ""
    ) -> None:
        self._authority_source = authority_source
        self._lists = lists
        self._responder = responder
        self._prefix = prefix.rstrip("/").encode()

    def takes_body(self, method: bytes, path: bytes) -> bool:
        """Whether the body of such a request is to be read."""
        return method == b"POST" and self._below(path) in (b"/ocsp", b"/ocsp/")

    async def answer(self, request: HttpRequest, now: datetime) -> HttpReply:
        """The answer, whatever the request is. Raises what the ledger raises."""
        path = self._below(request.path)
        if path in (b"/ocsp", b"/ocsp/"):
            return await self._post(request, now)
        if path is not None and path.startswith(b"/ocsp/"):
            if request.method not in _READ:
                return _not_allowed(_READ)
            return await self._get(request, path.removeprefix(b"/ocsp/"), now)
        if path is not None and (found := _CRL.fullmatch(path)) is not None:
            if request.method not in _READ:
                return _not_allowed(_READ)
            shard = None if found[2] is None else int(found[2])
            crl = await self._lists.get(found[1].decode(), shard, now)
            return _NOT_FOUND if crl is None else fetched(_crl(crl, now), request.headers, now)
        if path is not None and (found := _CERTIFICATE.fullmatch(path)) is not None:
            if request.method not in _READ:
                return _not_allowed(_READ)
            return self._certificate(found[1].decode(), request, now)
        return _NOT_FOUND

    def _below(self, path: bytes) -> bytes | None:
        """What follows the prefix; None for what is not below it."""
        return path.removeprefix(self._prefix) if path.startswith(self._prefix + b"/") else None

    async def _post(self, request: HttpRequest, now: datetime) -> HttpReply:
        if request.method != b"POST":
            return _not_allowed((b"POST",))
        media_type = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media_type != b"application/ocsp-request":
            return refused(415, "An OCSP request has the media type application/ocsp-request.")
        return uncached(_OCSP_TYPE, (await self._responder.reply(request.body, now=now)).der)

    async def _get(self, request: HttpRequest, encoded: bytes, now: datetime) -> HttpReply:
        if len(encoded) > MAX_REQUEST:
            return refused(414, f"An OCSP request has at most {MAX_REQUEST} octets.")
        reply = await self._responder.reply(from_path(encoded), now=now)
        if reply.response is None:
            return uncached(_OCSP_TYPE, reply.der)
        return fetched(_ocsp(reply, now), request.headers, now)

    def _certificate(self, key_id: str, request: HttpRequest, now: datetime) -> HttpReply:
        hierarchy = self._authority_source().hierarchy
        for one in (*hierarchy.anchors, *hierarchy.issuers):
            if one.key_id == key_id:
                body = one.certificate.public_bytes(Encoding.DER)
                modified = one.certificate.not_valid_before_utc
                document = Document(b"application/pkix-cert", body, etag_of(body), modified, now + _CERTIFICATE_AGE)
                return fetched(document, request.headers, now)
        return _NOT_FOUND


_NOT_FOUND = refused(404, "There is nothing here.")


def _not_allowed(methods: tuple[bytes, ...]) -> HttpReply:
    return refused(405, "This method is not for this path.", (b"allow", b", ".join(methods)))


def _crl(crl: CrlRecord, now: datetime) -> Document:
    return Document(
        media_type=b"application/pkix-crl",
        body=crl.der,
        etag=b'"%x"' % crl.number,
        modified=crl.this_update,
        expires=min(now + _MAX_AGE, crl.next_update),
    )


def _ocsp(reply: Reply, now: datetime) -> Document:
    assert reply.response is not None
    return Document(
        media_type=_OCSP_TYPE,
        body=reply.der,
        etag=etag_of(reply.der),
        modified=reply.response.this_update,
        expires=min(now + _MAX_AGE, reply.response.next_update),
    )
