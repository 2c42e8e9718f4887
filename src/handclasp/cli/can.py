"""`handclasp can`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from handclasp.cli.options import as_json, place, settings_of


@click.command()
@click.argument("caller")
@click.argument("method")
@click.argument("path")
@click.option("--service", help="The service; may be left out where there is one only.")
@as_json
@place
def can(
    caller: str, method: str, path: str, service: str | None, json_: bool, directory: Path, config_path: Path
) -> None:
    """Ask the rules: may CALLER (a name or SPIFFE ID) send METHOD to PATH? Exits 0 for yes, 1 for no.

    Answers from handclasp.yaml alone; whether the caller's certificate is valid is not asked.
    """
    from handclasp.access.evaluate import Request, decide
    from handclasp.access.policy import parse_method
    from handclasp.findings import InvalidSetting
    from handclasp.pki.spiffe import SpiffeID

    settings = settings_of(config_path)
    policies = {s.name: s.policy for s in settings.services}
    if service is None:
        if len(policies) > 1:
            raise click.UsageError(f"Which service? Name one with --service: {', '.join(policies)}.")
        service = next(iter(policies))
    if service not in policies:
        raise click.UsageError(f"There is no service {service}. There are: {', '.join(policies)}.")
    try:
        whole = caller.startswith("spiffe://")
        identity = SpiffeID.parse(caller) if whole else SpiffeID.named(settings.trust_domain, caller)
        parse_method(method)
    except InvalidSetting as error:
        raise click.UsageError(f"{error.why}. Allowed: {error.allowed}.") from None
    policy = policies[service]
    decision = decide(policy, Request(identity if policy.client_certificates else None, method, path))
    if json_:
        answer = {
            "service": service,
            "caller": str(identity),
            "method": method,
            "path": decision.path,
            "allowed": decision.allowed,
            "code": str(decision.code),
            "rule": decision.rule,
            "why": decision.why,
            "near": list(decision.near),
        }
        click.echo(json.dumps(answer))
    else:
        click.echo(f"{'Yes' if decision.allowed else 'No'}: {decision.why}")
        if decision.path is not None and decision.path != path.partition("?")[0]:
            click.echo(f"  The gateway reads the path as {decision.path}.")
        if decision.rule is not None:
            click.echo(f"  {settings.where(f'services.{service}.rules[{decision.rule - 1}]')}")
        for line in decision.near:
            click.echo(f"  {line}")
    sys.exit(0 if decision.allowed else 1)
