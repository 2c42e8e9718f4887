"""Whether the gateway may listen where it is told to, asked before Envoy is, so that the answer can be clear."""

from __future__ import annotations

import errno
import socket

from handclasp.findings import Code, Refused


def any_address() -> str:
    """The address that stands for all of this machine's: both families where there is IPv6, else IPv4."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind(("::", 0))
    except OSError:
        return "0.0.0.0"  # noqa: S104 - what `listen: PORT` means
    return "::"


def check_free(address: str, port: int, where: str, *, both_families: bool = False) -> None:
    """Raise Refused if nothing can listen there; ``where`` is the setting's place, such as ``handclasp.yaml:4``."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both_families)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            raise _refusal(error, address, port, where) from None


def _refusal(error: OSError, address: str, port: int, where: str) -> Refused:
    what = f"The gateway cannot listen on port {port}"
    if error.errno == errno.EADDRINUSE:
        why = "another program listens there"
        fix = f"Stop that program (ss -ltnp 'sport = :{port}' names it), or change listen: {where}."
        return Refused(Code.GATEWAY_PORT_TAKEN, what, why, fix)
    if error.errno in (errno.EACCES, errno.EPERM):
        why = "ports below 1024 need a right that this user does not have"
        fix = f"Use a port from 1024 up ({where}), or run with CAP_NET_BIND_SERVICE."
        return Refused(Code.GATEWAY_PORT_PRIVILEGED, what, why, fix)
    if error.errno == errno.EADDRNOTAVAIL:
        why = f"this machine does not have the address {address}"
        return Refused(Code.GATEWAY_ADDRESS_UNAVAILABLE, what, why, f"Use an address of this machine: {where}.")
    why = error.strerror or str(error)
    return Refused(Code.GATEWAY_ADDRESS_UNAVAILABLE, what, why, f"Change listen: {where}.")
