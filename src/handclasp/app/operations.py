"""Everything that can be asked of a state directory, by name: what the control socket offers and the faces use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from handclasp.app import audits, authorities, backups, callers, certificates, rotations, status

OPERATIONS: Mapping[str, Callable[..., Awaitable[dict[str, object]]]] = {
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
    "rotate.start": rotations.start,
    "rotate.status": rotations.status,
    "rotate.advance": rotations.advance,
    "rotate.abandon": rotations.abandon,
    "status": status.of_site,
}
"""What takes a Site: an authority that can issue."""

VAULT_OPERATIONS: Mapping[str, Callable[..., Awaitable[dict[str, object]]]] = {
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
    "backup": backups.make,
    "database.move": backups.move,
}
"""What takes a Vault: the ledger and the keys, whether or not there is an authority yet. After each of them a running
gateway takes over what has changed among the authorities."""
