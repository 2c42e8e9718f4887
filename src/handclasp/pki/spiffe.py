"""Trust domains and SPIFFE IDs (the SPIFFE-ID specification, sections 2.1 to 2.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from handclasp.findings import InvalidSetting

MAX_TRUST_DOMAIN = 255  # bytes, §2.1
MAX_SPIFFE_ID = 2048  # bytes, §2.3
RESERVED = "handclasp"

_SCHEME = "spiffe://"
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+")
_SEGMENT = re.compile(r"[a-zA-Z0-9._-]+")

_ALLOWED_TRUST_DOMAIN = (
    f"1 to {MAX_TRUST_DOMAIN} of: lower-case letters, digits, dots, dashes, underscores, as in example.org"
)
_ALLOWED_PATH = (
    "segments of letters, digits, dots, dashes and underscores, with a slash between them, "
    "as in checkout or audit/nightly"
)
_ALLOWED_ID = "spiffe://<trust domain>/<path>, as in spiffe://example.org/checkout"


@dataclass(frozen=True, slots=True)
class TrustDomain:
    """The name of a trust domain (§2.1). Cannot be made from a text that is none."""

    name: str

    def __post_init__(self) -> None:
        if why := _trust_domain_fault(self.name):
            raise InvalidSetting("", why, _ALLOWED_TRUST_DOMAIN)

    @classmethod
    def parse(cls, text: str) -> TrustDomain:
        """The trust domain of this name. Raises InvalidSetting."""
        return cls(text)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class SpiffeID:
    """An identity: a trust domain and a path within it (§2), the path without its leading slash.

    A SPIFFE ID with an empty path names the trust domain itself and is no caller, so there is none here.
    """

    trust_domain: TrustDomain
    path: str

    def __post_init__(self) -> None:
        if why := _path_fault(self.path):
            raise InvalidSetting("", why, _ALLOWED_PATH)
        if len(str(self)) > MAX_SPIFFE_ID:
            raise InvalidSetting("", f"the SPIFFE ID is {len(str(self))} bytes long", f"at most {MAX_SPIFFE_ID} bytes")

    @classmethod
    def parse(cls, text: str) -> SpiffeID:
        """The identity that a ``spiffe://`` URI names. Raises InvalidSetting."""
        if not text.startswith(_SCHEME):
            raise InvalidSetting("", f"{_shown(text)} does not begin with {_SCHEME}", _ALLOWED_ID)
        name, slash, path = text.removeprefix(_SCHEME).partition("/")
        trust_domain = TrustDomain.parse(name)
        if not slash:
            raise InvalidSetting("", f"{_shown(text)} has no path, so it names no caller", _ALLOWED_ID)
        return cls(trust_domain, path)

    @classmethod
    def named(cls, trust_domain: TrustDomain, name: str, *, reserved: bool = False) -> SpiffeID:
        """The identity that a person calls ``name``: ``checkout`` is ``spiffe://<trust domain>/checkout``.

        Names under ``handclasp/`` belong to the product itself and are given only with ``reserved``.
        Raises InvalidSetting.
        """
        if "://" in name:
            raise InvalidSetting("", f"{_shown(name)} is a URI, not a name in {trust_domain}", _ALLOWED_PATH)
        identity = cls(trust_domain, name)
        if identity.is_reserved and not reserved:
            raise InvalidSetting("", f"names that begin with {RESERVED}/ belong to Handclasp itself", "any other name")
        return identity

    @property
    def name(self) -> str:
        """What a person calls it: the path."""
        return self.path

    @property
    def is_reserved(self) -> bool:
        """Whether it is one of the product's own identities."""
        return self.path.partition("/")[0] == RESERVED

    def __str__(self) -> str:
        return f"{_SCHEME}{self.trust_domain}/{self.path}"


# There are few of them, and one is read with every identity.
@lru_cache(maxsize=256)
def _trust_domain_fault(name: str) -> str | None:
    if not name:
        return "the trust domain is empty"
    if len(name) > MAX_TRUST_DOMAIN:
        return f"the trust domain is {len(name)} characters long"
    if _TRUST_DOMAIN.fullmatch(name):
        return None
    if _TRUST_DOMAIN.fullmatch(name.lower()) and name.isascii():
        return f"the trust domain {_shown(name)} has upper-case letters"
    return f"the trust domain {_shown(name)} has characters that are not allowed in one"


def _path_fault(path: str) -> str | None:
    if not path:
        return "the name is empty"
    if path.startswith("/") or path.endswith("/"):
        return f"{_shown(path)} begins or ends with a slash"
    for segment in path.split("/"):
        if not segment:
            return f"{_shown(path)} has two slashes together"
        if segment in (".", ".."):
            return f"{_shown(path)} has the segment {segment!r}, which changes meaning when it is resolved"
        if not _SEGMENT.fullmatch(segment):
            return f"{_shown(segment)} has characters that are not allowed in a SPIFFE ID"
    return None


def _shown(text: str) -> str:
    """The text for a message: quoted, and no longer than a line."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
