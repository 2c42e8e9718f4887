"""Replacing an authority, step by step. Each verb is one operation of ``control``."""

from __future__ import annotations

from handclasp.app import ambient
from handclasp.app.site import Site
from handclasp.authority import rotation
from handclasp.authority.rotation import Situation

Json = dict[str, object]

_COMMANDS = {
    "activate": "handclasp ca rotate advance, to activate it",
    "retire": "handclasp ca rotate advance, to retire",
}


async def start(site: Site, *, what: str) -> Json:
    """Make and publish what replaces the root, or an issuing authority."""
    found = await rotation.start(site.authority, what, now=ambient.now(), serial=ambient.new_serial)
    return await _taken_over(site, found)


async def status(site: Site) -> Json:
    """Where the rotation is, and who it waits for."""
    return _told(await rotation.status(site.authority.ledger, now=ambient.now()))


async def advance(site: Site, *, without: list[str]) -> Json:
    """Take the next step."""
    return await _taken_over(site, await rotation.advance(site.authority.ledger, without=without, now=ambient.now()))


async def abandon(site: Site) -> Json:
    """Withdraw what is published and signs nothing yet."""
    return await _taken_over(site, await rotation.abandon(site.authority.ledger, now=ambient.now()))


async def _taken_over(site: Site, found: Situation) -> Json:
    """Bring it to the gateway, whose confirmation may be all that the next step waits for."""
    await site.reload()
    if await site.apply() is not None:
        found = await rotation.status(site.authority.ledger, now=ambient.now())
    return _told(found)


def _told(found: Situation) -> Json:
    return {
        "step": found.step.value,
        "new": list(found.new),
        "old": list(found.old),
        "waiting_for": list(found.waiting_for),
        "says": found.says,
        "next": _COMMANDS.get(found.next, ""),
    }
