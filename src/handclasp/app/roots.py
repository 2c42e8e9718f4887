"""The certificate authorities that verify an https upstream: a file the setting names, or the system's."""

from __future__ import annotations

import ssl
from pathlib import Path

from handclasp.findings import Code, Refused
from handclasp.pki.pem import load_chain, pem

_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)


def read_roots(named: Path | None, service: str) -> str:
    """PEM certificates to verify the service's upstream with. Raises Refused: there is no unverified upstream."""
    path = named if named is not None else system_file()
    if path is None:
        raise Refused(
            Code.CONFIG_NO_TRUST_ROOTS,
            f"The https upstream of {service} cannot be verified",
            "no file of certificate authorities was found on this system",
            f"Install ca-certificates, or name the API's authority: services.{service}.upstream_ca.",
        )
    try:
        data = path.read_bytes()
        certificates = load_chain(data)
    except OSError as error:
        why = error.strerror or str(error)
    except ValueError as error:
        why = str(error)
    else:
        if certificates:
            return pem(*certificates).decode()  # and nothing else that is in the file, such as a key
        why = "it holds no PEM certificate"
    raise Refused(
        Code.CONFIG_NO_TRUST_ROOTS,
        f"The https upstream of {service} cannot be verified",
        f"{path}: {why}",
        f"Correct services.{service}.upstream_ca: a file of PEM certificates (-----BEGIN CERTIFICATE-----).",
    )


def system_file() -> Path | None:
    """The file of the system's authorities, None where there is none."""
    candidates = (ssl.get_default_verify_paths().cafile, *_SYSTEM)
    return next((Path(c) for c in candidates if c and Path(c).is_file()), None)
