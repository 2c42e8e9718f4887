"""Entries for settings and state on this machine."""

from __future__ import annotations

from handclasp.findings.codes import Code, Entry


def entries() -> dict[Code, Entry]:
    """Code by code."""
    c = Code
    return {
        c.CONFIG_INVALID: Entry(
            "A setting cannot be used.",
            "Correct the line that the message names; handclasp config validate checks the file.",
        ),
        c.CONFIG_MISSING: Entry(
            "There is no handclasp.yaml.",
            "Make one: handclasp up --upstream URL, or handclasp up --demo.",
        ),
        c.CONFIG_CONFLICT: Entry(
            "What was asked for on the command line contradicts handclasp.yaml or the state.",
            "Change the line that the message names, or leave the option away.",
        ),
        c.CONFIG_NO_TRUST_ROOTS: Entry(
            "An https:// upstream must be verified, and there is no certificate authority to verify it with.",
            "Name the API's authority with upstream_ca, or install the system's ca-certificates.",
        ),
        c.STATE_UNWRITABLE: Entry(
            "The state directory cannot be written.",
            "Choose another with --dir, or correct its owner and mode.",
        ),
        c.STATE_IN_USE: Entry(
            "Another handclasp up runs in this state directory.",
            "Stop it, or choose another directory with --dir.",
        ),
        c.STATE_NEWER: Entry(
            "The state directory was written by a newer Handclasp.",
            "Use that version, or choose another directory with --dir.",
        ),
        c.STATE_DAMAGED: Entry(
            "A file of the state directory is missing or does not fit the others.",
            "Restore the file from a backup.",
        ),
        c.STATE_FILE_EXISTS: Entry(
            "A file that would be written is there already.",
            "Choose another directory with --out, or renew: handclasp client renew NAME.",
        ),
        c.STATE_KEY_MISSING: Entry(
            "A private key that is needed for this is not on this machine.",
            "Put the key file back where the message says, for as long as it is needed.",
        ),
        c.GATEWAY_PORT_TAKEN: Entry(
            "Another program listens on this port.",
            "Stop that program, or change listen in handclasp.yaml.",
        ),
        c.GATEWAY_PORT_PRIVILEGED: Entry(
            "Ports below 1024 need a right that this user does not have.",
            "Use a port from 1024 up, or grant the right (CAP_NET_BIND_SERVICE).",
        ),
        c.GATEWAY_ADDRESS_UNAVAILABLE: Entry(
            "This machine does not have the address to listen on.",
            "Change listen in handclasp.yaml to an address of this machine.",
        ),
        c.GATEWAY_CANNOT_START: Entry(
            "Envoy could not be started.",
            "Read the reason beside it and the file log/envoy.log in the state directory.",
        ),
        c.GATEWAY_REJECTED_CONFIG: Entry(
            "Envoy rejected the configuration made for it; the last good one goes on serving.",
            "This is a fault of Handclasp: please report it with the reason beside it.",
        ),
        c.GATEWAY_NOT_ACKNOWLEDGED: Entry(
            "Envoy has not confirmed the change in time.",
            "Look at handclasp status; the change is recorded and goes out as soon as Envoy answers.",
        ),
    }
