"""`handclasp status`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from handclasp.cli.options import as_json, place, settings_of, state_of


@click.command()
@as_json
@place
def status(json_: bool, directory: Path, config_path: Path) -> None:
    """Show the authority, its certificates with their days left, the gateway and the services."""
    import asyncio

    from handclasp.app import control
    from handclasp.findings import Code, Refused

    state = state_of(directory)
    if not state.exists() and not _ledger_is_elsewhere(config_path):
        raise Refused(
            Code.CONFIG_MISSING,
            f"There is nothing in {directory} yet",
            "no authority was made there",
            "Run: handclasp up.",
        )
    told = asyncio.run(control.perform(state, lambda: settings_of(config_path), "status"))
    click.echo(json.dumps(told) if json_ else _text(told))


def _ledger_is_elsewhere(config_path: Path) -> bool:
    """Whether an authority may be known that has left nothing in the state directory yet."""
    return bool(os.environ.get("HANDCLASP_DATABASE")) or settings_of(config_path).database is not None


def _text(told: dict[str, Any]) -> str:
    clients, gateway = told["clients"], told["gateway"]
    lines = [f"Trust domain {told['trust_domain']}, state in {told['state']}", ""]
    for one in told["authorities"]:
        lines += _authority(one, one["name"] in told["keys_unencrypted"])
    if told["pending_requests"]:
        lines += ["", f"Requests    {told['pending_requests']} wait for approval: handclasp cert requests"]
    lines += [
        "",
        "Callers     certificates: "
        + ", ".join(f"{count} {state}" for state, count in clients.items() if count or state != "held"),
    ]
    lines += [f"            to renew soon: {identity}" for identity in told["clients_to_renew"]]
    lines.append("")
    if gateway is None:
        lines.append("Gateway     not running (handclasp up)")
    else:
        live = "live" if gateway["live"] else "NOT LIVE"
        restarts = f", restarted {gateway['restarts']} times" if gateway["restarts"] else ""
        lines.append(f"Gateway     {live}, Envoy is process {gateway['envoy_pid']}{restarts}")
        lines += [
            f"            certificate of {c['service']}: {c['days_left']:.1f} days left, renewed at {c['renewal']}"
            for c in gateway["certificates"]
        ]
    lines.append("")
    for service in told["services"]:
        lines.append(
            f"Service     {service['name']}: {', '.join(service['hosts'])} on {service['listen']} -> "
            f"{service['upstream']} (client certificates {service['client_certificates']}, {service['rules']} rules)"
        )
    return "\n".join(lines)


_LABELS = {"root": "Root CA", "issuing": "Issuing CA", "clients": "Clients' CA", "servers": "Servers' CA"}


def _authority(one: dict[str, Any], unencrypted: bool) -> list[str]:
    """The lines about one authority: what it is, and where its key is."""
    label = _LABELS[one["role"]]
    if one["state"] == "requested":
        return [f"{label:11} {one['name']} waits for its certificate: handclasp ca install FILE"]
    state = "" if one["state"] == "active" else f" ({one['state']})"
    lines = [f"{label:11} {one['subject']}{state}: {one['days_left']:.0f} days left ({one['not_after']})"]
    if one["role"] == "root":
        if not one["key_online"]:
            return [*lines, "            The root's key is not on this machine."]
        if not one["key_in_file"]:
            return [*lines, f"            The root's key is in {one['key']}."]
        how = "online, unencrypted," if unencrypted else "online"
        return [
            *lines,
            f"            The root's key is {how} in {one['key']}.",
            "            Nothing here needs it before the issuing CA is replaced: move it to a disk that you keep",
            f"            offline (mv {one['key']} /media/...), and put it back when you are asked for it.",
        ]
    if not one["key_online"]:
        return [*lines, f"            THE KEY IS MISSING ({one['key']}): nothing can be issued or revoked in time."]
    if unencrypted:
        lines.append(f"            Its key is unencrypted in {one['key']}. To encrypt it: handclasp ca passphrase")
    return lines
