"""`doctor --config`: which product's configuration it is, read by that product's reader, and judged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Final

from handclasp.doctor.config import apache, caddy, envoy, haproxy, nginx, recognise
from handclasp.doctor.config.envoy import ParseYaml
from handclasp.doctor.config.judge import judge
from handclasp.doctor.config.model import Configuration, Load
from handclasp.doctor.diagnosis import Ailment, Candidate, Diagnosis, Place, Side
from handclasp.doctor.files.gather import gather
from handclasp.doctor.sources import Credentials, Source
from handclasp.findings import Code

_READERS: Final[Mapping[str, Callable[[str, Load], Configuration]]] = {
    "nginx": nginx.read,
    "apache": apache.read,
    "haproxy": haproxy.read,
    "caddy": caddy.read,
}
PRODUCTS: Final = (*_READERS, "envoy")


def examine(
    path: str,
    source: Source,
    load: Load,
    at: datetime,
    *,
    product: str = "",
    client: Credentials | None = None,
    parse_yaml: ParseYaml | None = None,
    public: Collection[bytes] = frozenset(),
) -> Diagnosis:
    """Judge the configuration at the absolute ``path``; ``product`` where a person knows it, otherwise by what it
    holds. The certificate of a ``client`` is tried against every server in it. ``public`` are the fingerprints
    (SHA-256) of public authorities. Never raises."""
    which = product or recognise.product(path, source.data)
    if which == "envoy":
        found = envoy.read(path, load, parse_yaml)
    elif which in _READERS:
        found = _READERS[which](path, load)
    else:
        what = "it is not clear whose configuration this is"
        return Diagnosis(
            source.name,
            at,
            f"The file cannot be examined: {what}.",
            (Candidate(Code.CONFIG_UNREADABLE, what),),
            findings=(Ailment(Code.CONFIG_UNREADABLE, source.name, what, place=Place(path)),),
            decider=f"Name the product: --server {', '.join(PRODUCTS)}.",
            examined=False,
        )
    return judge(found, load, at, None if client is None else gather(client, Side.CLIENT, at), public=public)
