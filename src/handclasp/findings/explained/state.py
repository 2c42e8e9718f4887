"""What is wrong with the state on this machine."""

from __future__ import annotations

from handclasp.findings.codes import Code
from handclasp.findings.explained.explanation import Explanation


def entries() -> dict[Code, Explanation]:
    """Code by code."""
    c = Code
    return {
        c.STATE_UNWRITABLE: Explanation(
            "The directory is another user's, was made by root in a first run, is on a read-only mount, or the disk "
            "is full.",
            "The command ends with the path and the system's reason (EACCES, EROFS, ENOSPC). Nothing was changed.",
            "none: a matter of the operating system (POSIX open: EACCES, EROFS, ENOSPC)",
            "The state directory state cannot be written: permission denied",
        ),
        c.STATE_IN_USE: Explanation(
            "Another handclasp up runs in the directory, or another process writes to its database. A container that "
            "was not stopped, and started again, is typical.",
            "The message has the number of the process that holds the lock, as far as it is on this machine.",
            "none: a rule of Handclasp (docs/reference.md): one writer for one state directory",
            "The state directory state is in use: another handclasp holds its lock (process 4711)",
        ),
        c.STATE_NEWER: Explanation(
            "The directory or database was used with a newer version before, and the older one does not know its "
            "tables. Going back to an older version after an upgrade does this.",
            "The message has the revision of the tables and the newest that this version knows.",
            "none: a rule of Handclasp (docs/how-to/backup.md): tables only go forward",
            "The ledger state/ledger.db was written by a newer Handclasp",
        ),
        c.STATE_DAMAGED: Explanation(
            "A file was edited, removed or restored alone, so that the ledger, the keys and the certificates no "
            "longer fit; or the disk lost something.",
            'The message names the file and what does not fit. Exit code 1. SQLite may say "database disk image is '
            'malformed".',
            "none: a rule of Handclasp (docs/how-to/backup.md)",
            "The key file issuing.key cannot be used: it is not the key of the authority's certificate",
        ),
        c.STATE_FILE_EXISTS: Explanation(
            "The command would write a file that is there already, from an earlier run; a key is never overwritten.",
            "The message names the file. Nothing was written, and no certificate was issued.",
            "none: a rule of Handclasp (docs/security.md)",
            "alice/key.pem is there already",
        ),
        c.STATE_KEY_MISSING: Explanation(
            "The key was moved away on purpose, as with an offline root, is in another token, or belongs to a caller "
            "and was never here.",
            "The message names the key and where it is looked for.",
            "none: a rule of Handclasp (docs/how-to/offline-root.md)",
            "The root key is not here: it is needed to sign the new issuing authority",
        ),
    }
