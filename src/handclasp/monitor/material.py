"""Certificates in files (Kind.FILES): PEM, DER, PKCS#7 and PKCS#12, whole directories, and Kubernetes secrets in YAML.

Reading blocks; the checks do it in a thread. Nothing here ends a check: what cannot be read is a finding, and the rest
goes on. In a directory only files are opened whose names say that certificates are in them; private keys are left
alone. Links are followed, and each file is read once however many lead to it.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.findings import Code, Finding, Refused
from handclasp.monitor.examined import ReadSecrets, watched
from handclasp.monitor.results import WatchedCertificate
from handclasp.pki import containers
from handclasp.probe import served

SUFFIXES: Final = frozenset(
    (".pem", ".crt", ".cer", ".cert", ".der", ".p7b", ".p7c", ".p12", ".pfx", ".crl", ".yaml", ".yml")
)
"""Names of files that are opened in a directory, and by which a target is taken for a file."""

MAX_FILES: Final = 2_000
MAX_ENTRIES: Final = 20_000
"""Files that are opened, and names that are looked at."""
MAX_DEPTH: Final = 8
MAX_CERTIFICATES: Final = 2_000
MAX_FILE: Final = 4 << 20
MAX_TOTAL: Final = 64 << 20
"""Octets of one file, and of all together."""
MAX_FINDINGS: Final = 20

_YAML: Final = frozenset({".yaml", ".yml"})
_MAX_OBJECTS: Final = 5_000
_MAX_NAME: Final = 100


@dataclass(slots=True)
class Material:
    """What was found: certificates in the order of the files' names, and what could not be read.
    ``crl_next_update`` is the earliest of the CRLs'."""

    certificates: list[WatchedCertificate] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    crl_next_update: datetime | None = None
    files: int = 0
    _octets: int = 0

    def fault(self, place: str, why: str, code: Code = Code.CHECK_FILE) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(code, place, f"{place}: {why}"))


def read(target: Path, passphrase: bytes | None, read_secrets: ReadSecrets, now: datetime) -> Material:
    """All certificates at a path: a file, or a directory with all below it. Raises nothing for what is there."""
    found = Material()
    if target.is_dir():
        for path in _files(target, found):
            if found.files >= MAX_FILES or found._octets >= MAX_TOTAL or len(found.certificates) >= MAX_CERTIFICATES:
                limits = f"{MAX_FILES} files, {MAX_CERTIFICATES} certificates and {MAX_TOTAL >> 20} MB"
                found.fault(str(target), f"there is more in it than is looked at ({limits})")
                break
            _read_file(found, path, str(path.relative_to(target)), passphrase, read_secrets, now)
    else:
        _read_file(found, target, target.name, passphrase, read_secrets, now)
    if not found.certificates and not found.findings and found.crl_next_update is None:
        found.fault(str(target), "there is no certificate in it")
    return found


def is_file_name(text: str) -> bool:
    """Whether a target is taken for a file or a directory, and not for an endpoint."""
    if "://" in text or text.startswith("unix:"):
        return False
    return text.startswith(("/", "./", "../")) or Path(text).suffix.lower() in SUFFIXES


def _files(directory: Path, found: Material) -> Iterator[Path]:
    """The files that may hold certificates, by name; no directory and no file twice."""
    seen: set[tuple[int, int]] = set()
    waiting = [(directory, 0)]
    entries = 0
    while waiting:
        folder, depth = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            with os.scandir(folder) as listed:
                names = sorted(entry.name for entry in islice(listed, MAX_ENTRIES + 1))
        except OSError as error:
            found.fault(str(folder), _why(error))
            continue
        seen.add((status.st_dev, status.st_ino))
        below = []
        for name in names:
            entries += 1
            if entries > MAX_ENTRIES:
                found.fault(str(directory), f"there are more than {MAX_ENTRIES} names in it")
                return
            if name.startswith("."):
                continue  # the versions behind a mounted Kubernetes secret, among others
            path = folder / name
            try:
                status = path.stat()
            except OSError as error:
                if path.suffix.lower() in SUFFIXES:
                    found.fault(str(path.relative_to(directory)), _why(error))
                continue
            if stat.S_ISDIR(status.st_mode):
                if depth < MAX_DEPTH:
                    below.append((path, depth + 1))
            elif stat.S_ISREG(status.st_mode) and _may_hold(name) and (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                yield path
        waiting += reversed(below)


def _may_hold(name: str) -> bool:
    path = Path(name.lower())
    return path.suffix in SUFFIXES and not path.stem.startswith("privkey") and not path.stem.endswith(("-key", "_key"))


def _read_file(
    found: Material, path: Path, place: str, passphrase: bytes | None, read_secrets: ReadSecrets, now: datetime
) -> None:
    place = _shown(place)
    found.files += 1
    try:
        data = _octets(path)
    except OSError as error:
        found.fault(place, _why(error))
        return
    if data is None:
        found.fault(place, f"it is no file, or longer than {MAX_FILE >> 20} MB")
        return
    found._octets += len(data)
    if path.suffix.lower() in _YAML:
        _read_yaml(found, data, place, passphrase, read_secrets, now)
    else:
        _read_octets(found, data, place, passphrase, now)


def _octets(path: Path) -> bytes | None:
    """What is in the file; None where it is none, or too long."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # not to wait for the other end of a pipe
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_FILE + 1)
    finally:
        os.close(descriptor)
    return data if len(data) <= MAX_FILE else None


def _read_octets(found: Material, data: bytes, place: str, passphrase: bytes | None, now: datetime) -> None:
    try:
        contents = containers.read(data, passphrase)
    except Refused as error:
        found.fault(place, error.why)
        return
    if contents.faults:
        found.fault(place, contents.faults[0])
    for one in contents.certificates[: MAX_CERTIFICATES - len(found.certificates)]:
        certificate = served.read(one.certificate.public_bytes(Encoding.DER))
        if certificate.fault is not None:
            found.fault(place, f"a certificate cannot be read: {certificate.fault}")
        else:
            found.certificates.append(watched(certificate, "file", place))
    for crl in contents.crls:
        if (end := _next_update(crl)) is None:
            continue
        if end <= now:
            found.fault(place, f"the revocation list ended on {end:%Y-%m-%d %H:%M} UTC", Code.CHAIN_CRL_EXPIRED)
        found.crl_next_update = min(end, found.crl_next_update or end)


def _next_update(crl: Any) -> datetime | None:
    try:
        end: datetime | None = crl.next_update_utc
    except containers.UNREADABLE:
        return None
    return end


def _read_yaml(
    found: Material, data: bytes, place: str, passphrase: bytes | None, read_secrets: ReadSecrets, now: datetime
) -> None:
    try:
        documents = list(read_secrets(data.decode()))
    except UnicodeDecodeError:
        found.fault(place, "it is not UTF-8")
        return
    except ValueError as error:
        found.fault(place, str(error))
        return
    for number, one in enumerate(_objects(documents)):
        if number >= _MAX_OBJECTS or len(found.certificates) >= MAX_CERTIFICATES:
            found.fault(place, "there is more in it than is looked at")
            return
        metadata = one.get("metadata")
        called = metadata if isinstance(metadata, dict) else {}
        name = "/".join(str(called[key]) for key in ("namespace", "name") if isinstance(called.get(key), str))
        for entry, value in _entries(one):
            here = f"{place}: {_shown(name)} {_shown(entry)}"
            if value is None:
                found.fault(here, "it is not base64")
            elif _may_hold(entry):
                _read_octets(found, value, here, passphrase, now)


def _objects(documents: list[object]) -> Iterator[dict[str, Any]]:
    """The secrets and config maps among the documents, those in lists too."""
    waiting = list(reversed(documents))
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict):
            continue
        kind = one.get("kind")
        if kind in {"Secret", "ConfigMap"}:
            yield one
        elif isinstance(kind, str) and kind.endswith("List") and isinstance(one.get("items"), list):
            waiting += reversed(one["items"])


def _entries(one: dict[str, Any]) -> Iterator[tuple[str, bytes | None]]:
    """The entries of a secret or config map that may hold certificates; None for what is not base64."""
    encoded = one.get("kind") == "Secret"
    for group, is_base64 in (("data", encoded), ("stringData", False), ("binaryData", True)):
        values = one.get(group)
        for name, value in values.items() if isinstance(values, dict) else ():
            if not isinstance(name, str) or not isinstance(value, str) or not _may_hold(name):
                continue
            try:
                yield name, base64.b64decode("".join(value.split()), validate=True) if is_base64 else value.encode()
            except (binascii.Error, ValueError):
                yield name, None


def _why(error: OSError) -> str:
    return f"it cannot be read: {error.strerror or type(error).__name__}"


def _shown(name: str) -> str:
    """A name from a file system or a cluster, for a terminal."""
    text = name.encode(errors="replace").decode()
    text = text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)
    return text if len(text) <= _MAX_NAME else f"...{text[3 - _MAX_NAME :]}"
