"""Everything that can be asked of a state directory, by name: what the control socket offers and the faces use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from handclasp.app import callers, status

OPERATIONS: Mapping[str, Callable[..., Awaitable[dict[str, object]]]] = {
    "client.add": callers.add,
    "client.list": callers.listing,
    "client.show": callers.show,
    "client.renew": callers.renew,
    "client.revoke": callers.revoke,
    "status": status.of_site,
}
