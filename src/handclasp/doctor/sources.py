"""Files as the doctor is given them: octets with what the file system says, so that all that judges them is pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Source:
    """One file, or one entry of a Kubernetes secret (``tls.yaml/tls.key``).

    ``mode`` are the permission bits (0o640), ``owner`` and ``group`` names or numbers; None where there is no file
    system. ``unreadable`` says why ``data`` could not be read (it is empty then). ``line`` is where an embedded part
    begins in its file.
    """

    name: str
    data: bytes = field(repr=False)
    mode: int | None = None
    owner: str | None = None
    group: str | None = None
    unreadable: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one side of a handshake brings: files, in whatever form. ``passphrase`` opens those that are closed."""

    files: Sequence[Source] = ()
    trust: Sequence[Source] = ()
    """The authorities by which this side judges the other; empty: taken from ``files`` where that is possible."""
    crls: Sequence[Source] = ()
    passphrase: bytes | None = field(default=None, repr=False)
