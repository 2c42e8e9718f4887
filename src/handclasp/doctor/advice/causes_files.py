"""What to do about files. Whose they are, the fact ``side`` says: here they are written down as the client's."""

from __future__ import annotations

from handclasp.doctor.advice import openssl_commands as run
from handclasp.doctor.advice.vocabulary import Draft, Setting, Use
from handclasp.doctor.diagnosis import Side
from handclasp.findings import Code

_WRITE = "handclasp convert {file} --to pem --out {chain}"
_LOOK = "handclasp inspect {file}"


def causes() -> dict[Code, tuple[Draft, ...]]:
    """Code by code."""
    c, client, server = Code, Side.CLIENT, Side.SERVER
    return {
        c.TRUST_STORE_UNREADABLE: (
            Draft(
                server,
                "Write the authorities as PEM, one after the other, and name that file.",
                (run.TRUSTED, "handclasp convert {issuing} --to pem --chain --out {bundle} --force"),
                Setting.TRUST,
            ),
            Draft(
                client,
                "Where it is the client that cannot read it, do so there.",
                ("handclasp convert {issuing} --to pem --chain --out {cacert} --force",),
                use=Use.TRUST,
            ),
        ),
        c.FILE_UNRECOGNIZED: (
            Draft(client, "Give the file that holds the certificate; this says what it is.", ("file {file}", _LOOK)),
        ),
        c.FILE_PASSPHRASE_MISSING: (
            Draft(
                client,
                "Put the passphrase into a file of yours alone, and name it.",
                ("chmod 600 passphrase.txt", f"{_WRITE} --password-file passphrase.txt"),
            ),
        ),
        c.FILE_PASSPHRASE_WRONG: (
            Draft(
                client,
                "Give the passphrase with which the file was written, without a space or a line too many.",
                ("od -c passphrase.txt", f"{_WRITE} --password-file passphrase.txt"),
            ),
        ),
        c.FILE_UNSUITABLE: (
            Draft(client, "Give a file that holds what is asked for; this says what it holds.", (_LOOK,)),
        ),
        c.FILE_DAMAGED: (
            Draft(
                client,
                "Write the file anew, or where it is cut off, fetch it once more from who issued it.",
                (_WRITE,),
                use=Use.PRESENT,
                setting=Setting.CERTIFICATE,
            ),
        ),
        c.FILE_CHAIN_ORDER: (
            Draft(
                client,
                "Write the certificates in order: the leaf, then each with the one that issued it behind it.",
                (_WRITE, run.LISTED),
                use=Use.PRESENT,
                setting=Setting.CERTIFICATE,
            ),
        ),
        c.FILE_TWO_KEYS: (
            Draft(
                client,
                "Keep the key alone whose digest is the certificate's.",
                (run.KEY_OF_CERTIFICATE, run.KEY_OF_KEY, "grep -n 'PRIVATE KEY' {file}"),
            ),
        ),
        c.FILE_KEY_UNPAIRED: (
            Draft(
                client,
                "Find the certificate with the same digest as the key, or remove the key.",
                ("openssl pkey -in {file} -pubout | openssl sha256", run.KEY_OF_CERTIFICATE),
            ),
        ),
        c.FILE_KEY_EXPOSED: (
            Draft(
                client,
                "Let the owner alone read the key, and replace it if anybody may have used it.",
                ("chmod 600 {file}", "ls -l {file}"),
            ),
        ),
        c.FILE_KEY_IN_CONFIG: (
            Draft(
                client,
                "Move the key to a file that its program alone can read, and name that file in the configuration.",
                ("grep -n 'PRIVATE KEY' {file}", "install -m 600 /dev/null {key}"),
                use=Use.PRESENT,
                setting=Setting.CERTIFICATE,
            ),
        ),
        **dict.fromkeys(
            (c.CONFIG_INVALID, c.CONFIG_CONFLICT),
            (
                Draft(
                    server,
                    "Correct the line of handclasp.yaml that the message names, and have it checked.",
                    ("handclasp config validate",),
                    product="handclasp",
                ),
            ),
        ),
        c.CONFIG_MISSING: (
            Draft(
                server,
                "Name the settings file, or begin with one that is written for you.",
                ("handclasp up --upstream http://127.0.0.1:8000",),
                product="handclasp",
            ),
        ),
        c.CONFIG_NO_TRUST_ROOTS: (
            Draft(
                client,
                "Install the system's authorities, or name the authority of the server.",
                ("apt-get install ca-certificates",),
                use=Use.TRUST,
            ),
        ),
    }
