"""An intent to compile, of which a test changes what it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from handclasp.access.policy import Policy, Rule
from handclasp.dataplane.intent import Intent, KeyPair, Service, Upstream
from handclasp.pki.spiffe import TrustDomain

TRUST_DOMAIN = TrustDomain("example.org")
RULES = (
    Rule.parse(1, allow="spiffe://example.org/alice", methods=["GET"], paths=["/v1/**"], trust_domain=TRUST_DOMAIN),
    Rule.parse(2, allow="spiffe://example.org/audit/*", trust_domain=TRUST_DOMAIN),
)
OPEN_RULES = (Rule.parse(1, allow="anyone", paths=["/v1/**", "/health"], trust_domain=TRUST_DOMAIN),)


@pytest.fixture(scope="session")
def service() -> Callable[..., Service]:
    """A service of this name, with these other fields; ``required=False`` asks for no client certificates."""

    def make(
        name: str = "orders", *, required: bool = True, rules: tuple[Rule, ...] | None = None, **more: Any
    ) -> Service:
        chosen = rules if rules is not None else RULES if required else OPEN_RULES
        made = Service(
            name=name,
            address="127.0.0.1",
            port=8443,
            hosts=(f"{name}.example.org",),
            upstream=Upstream("http", "127.0.0.1", 8000),
            policy=Policy(name, required, chosen),
        )
        return replace(made, **more)

    return make


@pytest.fixture(scope="session")
def intent(service: Callable[..., Service]) -> Callable[..., Intent]:
    """An intent of these services (one, if none is given), with these other fields."""

    def make(*services: Service, **more: Any) -> Intent:
        chosen = services or (service(),)
        made = Intent(
            trust_domain=TRUST_DOMAIN,
            services=chosen,
            certificates={s.name: KeyPair(f"{s.name} CHAIN", f"{s.name} KEY") for s in chosen},
            client_authorities="AUTHORITIES",
            crl="CRL",
        )
        return replace(made, **more)

    return make
