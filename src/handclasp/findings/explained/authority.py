"""What the authority, its keys and its ledger refuse."""

from __future__ import annotations

from handclasp.findings.codes import Code
from handclasp.findings.explained.explanation import Explanation


def entries() -> dict[Code, Explanation]:
    """Code by code."""
    c = Code
    return {
        c.CERTIFICATE_UNKNOWN: Explanation(
            "The serial number is mistyped, written in decimal instead of hexadecimal, or of a certificate that "
            "another authority or state directory issued.",
            "The command that names the certificate is refused with this code; nothing was changed.",
            "none: a rule of Handclasp (docs/reference.md)",
            "handclasp cert show 4f2a",
        ),
        c.CERTIFICATE_REVOKED: Explanation(
            "Something was asked of a certificate that only a valid one can have: to be held, released or renewed. "
            "Revocation is for good, except for the hold.",
            "The command is refused with this code; handclasp cert show has when and why it was revoked.",
            "RFC 5280 §5.3.1 (certificateHold is the only reason that can be taken back)",
            "handclasp cert release of a certificate with the reason keyCompromise",
        ),
        c.CERTIFICATE_NOT_HELD: Explanation(
            "A release was asked for, and the certificate is valid, or revoked for another reason.",
            "The command is refused with this code; handclasp cert show has the state.",
            "RFC 5280 §5.3.1 (certificateHold, removeFromCRL)",
            "handclasp cert release of a certificate that was released before",
        ),
        c.AUTHORITY_UNUSABLE: Explanation(
            "A certificate that should become an authority is none (no CA:TRUE, no keyCertSign, expired), its key "
            "does not fit or cannot be put into the token, or a list that was brought is not signed by it.",
            "The command is refused with the reason; nothing was taken over.",
            "RFC 5280 §4.2.1.3 and §4.2.1.9",
            "The authority was not taken over: its key usage does not allow it to sign certificates.",
        ),
        c.AUTHORITY_UNKNOWN: Explanation(
            "The name of an authority is mistyped, or its certificate was never brought into this state directory.",
            "The command is refused with this code; handclasp ca show lists those that there are.",
            "none: a rule of Handclasp (docs/reference.md)",
            "handclasp ca show isuing",
        ),
        c.ROTATION_NONE: Explanation(
            "A step of a rotation was asked for, and none was begun, or it has come to its end.",
            "handclasp ca rotate status says that no rotation is under way.",
            "none: a rule of Handclasp (docs/how-to/rotate-root.md)",
            "handclasp ca rotate advance, right after the last one",
        ),
        c.ROTATION_UNDER_WAY: Explanation(
            "A second rotation was begun while one runs, an abandoned one had signed already, or somebody else "
            "advanced it in the same moment.",
            "The command is refused with this code; a process that signs learns of the step within about a second, "
            "and asking again helps.",
            "none: a rule of Handclasp (docs/how-to/rotate-root.md)",
            "The certificate was not issued: the authority that this process signs with is retiring since a moment "
            "ago.",
        ),
        c.ROTATION_NOT_CONFIRMED: Explanation(
            "The next step would cut somebody off: a gateway that has not loaded the new authority, or a caller whose "
            "certificate is still of the old one.",
            "The message names all of them, and the rotation stays where it is. Exit code 1.",
            "none: a rule of Handclasp (docs/how-to/rotate-root.md); RFC 4210 §4.4 on why a new root is published "
            "before it is used",
            "The rotation stays where it is: the next step is to retire: this would cut off alice and gateway-2.",
        ),
        c.KEY_PASSPHRASE_MISSING: Explanation(
            "The keys of the authority are encrypted, and the process was started where nobody types: a service, a "
            "container, a cron job without the variable.",
            "It fails at start or at the first signature, with this code and the file.",
            "RFC 5958 §3 (EncryptedPrivateKeyInfo); RFC 8018 §6.2",
            "The passphrase of the authority's keys is missing",
        ),
        c.KEY_PASSPHRASE_WRONG: Explanation(
            "The passphrase is of another state directory, or was changed; a secret from a file often has a line "
            "break at its end. For a token it is the PIN, and a few wrong ones lock it.",
            "The key stays closed; for a token the module says CKR_PIN_INCORRECT or CKR_PIN_LOCKED.",
            "RFC 8018 §6.2; PKCS#11 (C_Login)",
            "The PIN does not open the token handclasp: CKR_PIN_INCORRECT",
        ),
        c.HSM_UNAVAILABLE: Explanation(
            "The module's library is not at the path, the token is not plugged in or has another label, or the "
            "service behind it (a network HSM, pcscd) is down.",
            "The message has the module, the token and the module's error, such as CKR_TOKEN_NOT_PRESENT or "
            "CKR_DEVICE_ERROR. Exit code 1.",
            "PKCS#11 (CKR_ return values)",
            "The token handclasp cannot be used (module libsofthsm2.so): no slot has a token with this label",
        ),
        c.DATABASE_UNREACHABLE: Explanation(
            "PostgreSQL does not run, its address or password is wrong, its pg_hba.conf does not let this machine in, "
            "or it has no connection left.",
            "The message names the database (never the password) and the reason; SQLSTATE 08001, 28P01, 53300 or "
            "57P03. Exit code 1.",
            "PostgreSQL manual, appendix A (error codes)",
            'FATAL: no pg_hba.conf entry for host "192.0.2.7", user "handclasp", database "pki"',
        ),
        c.DATABASE_UNSUITABLE: Explanation(
            "The database is there and cannot be the ledger: it is too old, has no UTF-8, is read-only (a standby), "
            "the user may not create tables, or it is another program's.",
            "The message names what is missing; SQLSTATE 42501, 25006 or 3D000.",
            "none: a rule of Handclasp (docs/how-to/postgresql.md)",
            "ERROR: cannot execute CREATE TABLE in a read-only transaction",
        ),
        c.AUDIT_BROKEN: Explanation(
            "An event of the log was changed, removed, moved or put in, by somebody who could write to the database; "
            "or a backup was restored that is older than a checkpoint that was kept elsewhere.",
            "handclasp audit verify names the writer and the number of the first event whose hash does not follow. "
            "Exit code 1.",
            "none: a rule of Handclasp (docs/security.md); the idea is that of RFC 9162 §2",
            "gateway-1/4711: its hash does not follow from the event before",
        ),
        c.BACKUP_UNUSABLE: Explanation(
            "The file is no backup, was cut off or changed on its way, was made with another passphrase, or by a "
            "newer Handclasp.",
            "Restoring refuses with the reason before anything is written. Exit code 1.",
            "none: a rule of Handclasp (docs/how-to/backup.md)",
            "The backup pki.backup cannot be restored: it was changed since it was made, or the passphrase is another "
            "one.",
        ),
    }
