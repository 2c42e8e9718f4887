"""Where something can be posted to: the parts of a URL. Pure, and light to import."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from handclasp.findings import InvalidSetting

ALLOWED: Final = "an address, as in https://hooks.example.org/handclasp; passwords do not belong into it"
_URL: Final = re.compile(r"https?://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?(?:[/?][!-~]*)?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where something is posted."""

    tls: bool
    host: str
    port: int
    path: str
    authority: str


def address(url: str, *, tls: bool = False) -> Address:
    """The parts of a URL, which has to be https:// with ``tls``. Raises InvalidSetting, which does not quote it."""
    found = _URL.fullmatch(url)
    if found is None or "#" in url or len(url) > 2000:
        raise InvalidSetting("", "this is no address that can be posted to", ALLOWED)
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    if tls and not secure:
        raise InvalidSetting("", "it holds or carries a secret, and is not https://", ALLOWED)
    try:
        port = parts.port or (443 if secure else 80)
    except ValueError:
        raise InvalidSetting("", "its port is none", ALLOWED) from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(secure, found["host"].strip("[]"), port, path, parts.netloc)
