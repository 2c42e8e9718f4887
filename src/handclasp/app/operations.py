"""Everything that can be asked of a state directory, by name: what the control socket offers and the faces use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module

from handclasp.app import audits, authorities, backups, callers, certificates, rotations, status

Operation = Callable[..., Awaitable[dict[str, object]]]


def _later(module: str, name: str) -> Operation:
    """One that is imported when it is first asked for: whoever watches nothing does not wait for it."""

    async def operation(*where: object, **arguments: object) -> dict[str, object]:
        function: Operation = getattr(import_module(f"handclasp.app.{module}"), name)
        return await function(*where, **arguments)

    return operation


OPERATIONS: Mapping[str, Operation] = {
    "client.add": callers.add,
    "client.list": callers.listing,
    "client.show": callers.show,
    "client.renew": callers.renew,
    "client.revoke": callers.revoke,
    "cert.issue": certificates.make,
    "cert.search": certificates.search,
    "cert.show": certificates.show,
    "cert.renew": certificates.renew,
    "cert.revoke": certificates.revoke,
    "cert.hold": certificates.put_on_hold,
    "cert.release": certificates.let_go,
    "cert.requests": certificates.requests,
    "cert.approve": certificates.approve,
    "cert.deny": certificates.deny,
    "cert.import": certificates.take,
    "credential.add-identity": _later("credentials", "add_identity"),
    "credential.renew": _later("credentials", "renew"),
    "rotate.start": rotations.start,
    "rotate.status": rotations.status,
    "rotate.advance": rotations.advance,
    "rotate.abandon": rotations.abandon,
    "status": status.of_site,
}
"""What takes a Site: an authority that can issue."""

VAULT_OPERATIONS: Mapping[str, Operation] = {
    "ca.show": authorities.show,
    "ca.bundle": authorities.bundle,
    "ca.root": authorities.root,
    "ca.csr": authorities.csr,
    "ca.sign": authorities.sign,
    "ca.renew-root": authorities.renew_root,
    "ca.crl": authorities.sign_list,
    "ca.install-crl": authorities.install_list,
    "ca.install": authorities.install,
    "ca.import": authorities.take,
    "ca.passphrase": authorities.passphrase,
    "audit.verify": audits.verify,
    "audit.checkpoint": audits.checkpoint,
    "audit.export": audits.export,
    "credential.add": _later("credentials", "add"),
    "credential.list": _later("credentials", "listing"),
    "credential.show": _later("credentials", "show"),
    "credential.remove": _later("credentials", "remove"),
    "credential.for": _later("credentials", "chosen"),
    "monitor.list": _later("monitors", "listing"),
    "monitor.show": _later("monitors", "show"),
    "monitor.add": _later("monitors", "add"),
    "monitor.remove": _later("monitors", "remove"),
    "monitor.pause": _later("monitors", "pause"),
    "monitor.check": _later("monitors", "check"),
    "monitor.history": _later("monitors", "history"),
    "monitor.changes": _later("monitors", "changes"),
    "monitor.digest": _later("alerts", "expiring"),
    "monitor.calendar": _later("alerts", "feed"),
    "monitor.test-alert": _later("alerts", "test"),
    "backup": backups.make,
    "database.move": backups.move,
}
"""What takes a Vault: the ledger and the keys, whether or not there is an authority yet. After each of them a running
gateway takes over what has changed among the authorities."""
