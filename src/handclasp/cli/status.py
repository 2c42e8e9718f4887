"""`handclasp status`."""

from __future__ import annotations

import json
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
    if not state.exists():
        raise Refused(
            Code.CONFIG_MISSING,
            f"There is nothing in {directory} yet",
            "no authority was made there",
            "Run: handclasp up.",
        )
    told = asyncio.run(control.perform(state, lambda: settings_of(config_path), "status"))
    click.echo(json.dumps(told) if json_ else _text(told))


def _text(told: dict[str, Any]) -> str:
    root, issuing, clients, gateway = told["root"], told["issuing"], told["clients"], told["gateway"]
    lines = [
        f"Trust domain {told['trust_domain']}, state in {told['state']}",
        "",
        f"Root CA     {root['subject']}: {root['days_left']:.0f} days left ({root['not_after']})",
        f"Issuing CA  {issuing['subject']}: {issuing['days_left']:.0f} days left ({issuing['not_after']})",
    ]
    if root["key_online"]:
        lines += [
            f"            The root's key is online, unencrypted, in {root['key']}.",
            "            Nothing here needs it before the issuing CA is replaced: move it to a disk that you keep",
            f"            offline (mv {root['key']} /media/...), and put it back when you are asked for it.",
        ]
    else:
        lines.append("            The root's key is not on this machine.")
    if not issuing["key_online"]:
        lines.append(
            f"            THE ISSUING KEY IS MISSING ({issuing['key']}): nothing can be issued or revoked in time."
        )
    lines += [
        "",
        "Callers     certificates: "
        f"{clients['valid']} valid, {clients['expired']} expired, {clients['revoked']} revoked",
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
