"""Who else can get at a private key: by the permissions of its file, and by standing in a configuration."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath
from typing import Final

from handclasp.doctor.diagnosis import Ailment, Fix, Place, Severity, Side
from handclasp.doctor.sources import Source
from handclasp.findings import Code

_WIDE_GROUPS: Final = frozenset({"users", "everyone", "staff", "nogroup", "nobody", "domain users", "65534"})
_NOBODY: Final = frozenset({"nobody", "65534"})
_CONFIGURATIONS: Final = frozenset(
    {
        ".conf",
        ".cfg",
        ".cnf",
        ".ini",
        ".yaml",
        ".yml",
        ".json",
        ".toml",
        ".env",
        ".properties",
        ".xml",
        ".sh",
        ".bash",
        ".py",
        ".js",
        ".ts",
        ".go",
        ".java",
        ".rb",
        ".php",
        ".tf",
        ".tfvars",
        ".hcl",
        ".service",
        ".tpl",
        ".j2",
    }
)
_NAMES: Final = frozenset({"dockerfile", "caddyfile", ".env", "jenkinsfile", "makefile", ".npmrc", ".netrc"})
_KEY: Final = re.compile(rb"-----BEGIN ((?:ENCRYPTED |RSA |EC |DSA |OPENSSH )?)PRIVATE KEY-----")
# The same in base64, as Kubernetes' secrets and CI variables hold it, in the one alignment that a file's start has.
_CODED: Final = re.compile(
    rb"LS0tLS1CRUdJTiBQUklWQVRFIEtFW|LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRV|LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFW"
)


def is_configuration(source: Source) -> bool:
    """By its name: a file of settings or of a program, in which certificates and keys are guests."""
    name = PurePosixPath(source.name).name.lower()
    return name in _NAMES or name.startswith(".env.") or PurePosixPath(name).suffix in _CONFIGURATIONS


def in_configuration(source: Source, side: Side) -> tuple[Ailment, ...]:
    """FILE_KEY_IN_CONFIG for the first private key in a configuration file, with its line."""
    plain = _KEY.search(source.data)
    found = plain or _CODED.search(source.data)
    if found is None:
        return ()
    closed = plain is not None and plain[1] == b"ENCRYPTED "
    line = source.data.count(b"\n", 0, found.start()) + (source.line or 1)
    how = "" if plain is not None else ", in base64"
    what = f"a private key stands in a configuration file{how}: it goes wherever the file goes"
    command = (
        "install -m 600 /dev/null client.key" if side is not Side.SERVER else "install -m 600 /dev/null server.key"
    )
    fix = Fix(
        side,
        f"Move the key to a file of its own ({command}) and name that file; replace the key if the file was shared.",
        "",
        (command,),
    )
    severity = Severity.WARNING if closed else Severity.ERROR
    return (Ailment(Code.FILE_KEY_IN_CONFIG, source.name, what, severity, (fix,), Place(source.name, line)),)


def exposed(source: Source, side: Side, *, encrypted: bool) -> tuple[Ailment, ...]:
    """FILE_KEY_EXPOSED for a file with a private key that others can read or change; () without a file system.

    Readable by a group is a warning, since servers do it on purpose; by a group that everybody is in, an error. A key
    under a passphrase is one step less.
    """
    if source.mode is None:
        return ()
    severity, who = _who(source)
    if severity is None:
        return ()
    if encrypted:
        severity = Severity.WARNING if severity is Severity.ERROR else Severity.NOTE
    mode = f"{source.mode & 0o7777:04o}"
    command = f"chmod 600 {shlex.quote(source.name)}"
    if source.mode & 0o077 == 0:
        command = f"chown root {shlex.quote(source.name)}"
    advice = f"Take the right away: {command}"
    if severity is Severity.ERROR:
        advice += "; replace the key if anybody may have used it."
    facts = {"mode": mode, "owner": source.owner or "", "group": source.group or ""}
    fix = Fix(side, advice, "", (command,))
    what = f"the private key in it can be {who} (mode {mode})"
    return (Ailment(Code.FILE_KEY_EXPOSED, source.name, what, severity, (fix,), Place(source.name), facts),)


def _who(source: Source) -> tuple[Severity | None, str]:
    mode = source.mode or 0
    group = (source.group or "").lower()
    if mode & 0o002:
        return Severity.ERROR, "changed by everybody on the machine"
    if mode & 0o004:
        return Severity.ERROR, "read by everybody on the machine"
    if mode & 0o060 and group in _WIDE_GROUPS:
        return Severity.ERROR, f"read by the group {source.group}, in which everybody is"
    if mode & 0o020:
        return Severity.ERROR, f"changed by its group {source.group or ''}".rstrip()
    if mode & 0o040:
        return Severity.WARNING, f"read by its group {source.group or ''}".rstrip()
    if (source.owner or "").lower() in _NOBODY:
        return Severity.WARNING, "read by every service that runs as nobody, which owns it"
    return None, ""
