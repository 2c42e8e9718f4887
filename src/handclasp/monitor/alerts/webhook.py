"""A signed POST, by the scheme of Standard Webhooks (standardwebhooks.com), so that ready libraries verify it. Pure.

    webhook-id: ID                      the same for every try of one message: who has seen it leaves it alone
    webhook-timestamp: SECONDS          since 1970, when this try was made
    webhook-signature: v1,BASE64        HMAC-SHA256 over ID.SECONDS.BODY

To verify: refuse a timestamp that is more than five minutes off; compute HMAC-SHA256 with the secret's octets over the
id, a dot, the timestamp, a dot and the body as it came; compare its base64 with what follows ``v1,``, in constant time.

A secret that begins with ``whsec_`` is base64 after that; any other is used as it is (libraries that want base64 are
given ``whsec_`` and its base64).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from handclasp.findings import InvalidSetting
from handclasp.monitor.alerts import message as messages
from handclasp.monitor.alerts.message import Message
from handclasp.monitor.digest import Digest
from handclasp.monitor.digest import as_json as digest_json
from handclasp.probe.served import stamp

_PREFIX: Final = b"whsec_"
_LEAST: Final = 24  # octets
SECRET_ALLOWED: Final = f"at least {_LEAST} octets, or whsec_ and the base64 of as many"


def key(secret: bytes) -> bytes:
    """The octets that the secret stands for. Raises InvalidSetting, which does not quote it."""
    octets = secret
    if secret.startswith(_PREFIX):
        try:
            octets = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise InvalidSetting("", "what follows whsec_ is no base64", SECRET_ALLOWED) from None
    if len(octets) < _LEAST:
        raise InvalidSetting("", "the secret is too short", SECRET_ALLOWED)
    return octets


def alert(message: Message) -> bytes:
    """The body: ``type``, ``timestamp`` and ``data``. Types are monitor.state_changed and monitor.test."""
    kind = "monitor.test" if message.test else "monitor.state_changed"
    return _body(kind, message.at, messages.as_json(message))


def digest(of: Digest) -> bytes:
    """The same of a digest; the type is monitor.digest."""
    return _body("monitor.digest", of.at, digest_json(of))


def headers(secret: bytes, id_: str, at: datetime, body: bytes) -> Mapping[str, str]:
    """The headers of one try. Raises InvalidSetting for a secret that cannot be used."""
    seconds = str(int(at.timestamp()))
    signed = b".".join((id_.encode(), seconds.encode(), body))
    mac = hmac.new(key(secret), signed, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def _body(kind: str, at: datetime, data: Mapping[str, object]) -> bytes:
    return json.dumps({"type": kind, "timestamp": stamp(at), "data": data}).encode()
