"""Entries for the authority, its keys, its ledger, and files that people bring."""

from __future__ import annotations

from handclasp.findings.codes import Code, Entry


def entries() -> dict[Code, Entry]:
    """Code by code."""
    c = Code
    return {
        c.CERTIFICATE_UNKNOWN: Entry(
            "The ledger has no such certificate.",
            "Search for it: handclasp cert list.",
        ),
        c.CERTIFICATE_REVOKED: Entry(
            "The certificate is revoked for good, so it cannot be held, released or renewed.",
            "Issue a new one.",
        ),
        c.CERTIFICATE_NOT_HELD: Entry(
            "The certificate is not on hold, so there is nothing to release.",
            "See its state: handclasp cert show SERIAL.",
        ),
        c.AUTHORITY_UNUSABLE: Entry(
            "A certificate or key cannot be that of an authority here.",
            "Correct what the message names.",
        ),
        c.AUTHORITY_UNKNOWN: Entry(
            "There is no authority of this name.",
            "See the authorities: handclasp ca show.",
        ),
        c.ROTATION_NONE: Entry(
            "No rotation is under way.",
            "Begin one: handclasp ca rotate start issuing (or root).",
        ),
        c.ROTATION_UNDER_WAY: Entry(
            "A rotation is under way, and another cannot begin beside it.",
            "See it with handclasp ca rotate status; go on with handclasp ca rotate advance.",
        ),
        c.ROTATION_NOT_CONFIRMED: Entry(
            "Somebody has not confirmed what the rotation published, and would be cut off by its next step.",
            "Wait for those named, or renew them; leave one behind with --without NAME.",
        ),
        c.KEY_PASSPHRASE_MISSING: Entry(
            "The authority's keys are encrypted, and no passphrase was given.",
            "Set authority.keys.passphrase in handclasp.yaml, or HANDCLASP_CA_PASSPHRASE.",
        ),
        c.KEY_PASSPHRASE_WRONG: Entry(
            "The passphrase does not open the key.",
            "Give the passphrase with which the key was encrypted.",
        ),
        c.HSM_UNAVAILABLE: Entry(
            "The hardware security module does not answer, or does not let us in.",
            "Check the module, the token's label and the PIN, as in docs/how-to/hsm.md.",
        ),
        c.DATABASE_UNREACHABLE: Entry(
            "The database does not answer.",
            "Check the address in the setting database, and that PostgreSQL runs and lets this user in.",
        ),
        c.DATABASE_UNSUITABLE: Entry(
            "The database cannot be used for the ledger.",
            "Correct what the message names.",
        ),
        c.AUDIT_BROKEN: Entry(
            "The audit log does not verify: an event was removed, changed, moved or cut off.",
            "Restore the ledger from a backup, and find out who could write to it.",
        ),
        c.BACKUP_UNUSABLE: Entry(
            "The backup cannot be restored.",
            "Use another backup, or correct what the message names.",
        ),
        c.FILE_UNRECOGNIZED: Entry(
            "The file is nothing that Handclasp can read.",
            "Give a certificate, key, request, CRL, PKCS#12 or PKCS#7 file, PEM or DER.",
        ),
        c.FILE_PASSPHRASE_MISSING: Entry(
            "The file is encrypted, and no passphrase was given.",
            "Give it with --password-file.",
        ),
        c.FILE_PASSPHRASE_WRONG: Entry(
            "The passphrase does not open the file.",
            "Give the passphrase with which the file was made.",
        ),
        c.FILE_UNSUITABLE: Entry(
            "What the files hold cannot be written in the form asked for.",
            "Choose another form, or a part of the files, as the message says.",
        ),
    }
