"""What a certificate request asks for, and what of it a profile grants.

A request's subject and extensions are wishes. Names are granted if the profile allows them; the rest of a
certificate follows from its profile, so that asking for it is allowed where it would come out so, and refused where
it would not. Attributes of the subject other than the common name are not looked at: no certificate repeats them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.x509 import ObjectIdentifier

from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki.names import IPAddress, Names, dns_name
from handclasp.pki.profile import Presence, Profile
from handclasp.pki.spiffe import SpiffeID

_NOBODY = Names()


@dataclass(frozen=True, slots=True)
class Wishes:
    """As the request has them, not yet judged.

    ``spiffe`` are URIs of whatever scheme; ``dns`` names are as they were written; ``others`` are names of kinds
    that no certificate here has, as ``kind:value``; ``usages`` are the extended key usages asked for; ``extensions``
    are the dotted OIDs of extensions that no request can have answered.
    """

    spiffe: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    ips: tuple[IPAddress, ...] = ()
    others: tuple[str, ...] = ()
    common_name: str | None = None
    is_ca: bool = False
    usages: tuple[ObjectIdentifier, ...] = ()
    extensions: tuple[str, ...] = ()


def granted(profile: Profile, wishes: Wishes) -> Names:
    """The names that a certificate of this profile gets for these wishes: all of them, or none.

    A common name that is none of the other names is one more DNS name. Raises Refused
    (REQUEST_NAME_NOT_ALLOWED, REQUEST_EXTENSION_NOT_ALLOWED), saying which rule of the profile is broken.
    """
    _check_extensions(profile, wishes)
    if wishes.others:
        raise _refused(
            f"it asks for {_listed(wishes.others)}", f"no certificate of the profile {profile} has such names"
        )
    if len(wishes.spiffe) > 1:
        raise _refused(f"it asks for {_listed(wishes.spiffe)}", "a certificate has at most one SPIFFE ID")
    try:
        identity = SpiffeID.parse(wishes.spiffe[0]) if wishes.spiffe else None
        dns = tuple(dict.fromkeys(map(dns_name, wishes.dns)))
        names = Names(identity, dns, tuple(dict.fromkeys(wishes.ips)))
        names = _with_common_name(profile, names, wishes.common_name)
    except InvalidSetting as error:
        raise _refused(f"it asks for a name that is none: {error.why}", f"there can be {error.allowed}") from None
    check_names(profile, names)
    return names


def check_names(profile: Profile, names: Names) -> None:
    """Returns if the profile allows a certificate of exactly these names; raises Refused(REQUEST_NAME_NOT_ALLOWED)."""
    if names.spiffe_id is None and profile.spiffe_id is Presence.REQUIRED:
        raise _name_refused(profile, "has no SPIFFE ID", "needs one", "Give the identity a name.")
    if names.spiffe_id is not None and profile.spiffe_id is Presence.NONE:
        raise _name_refused(profile, f"would name {names.spiffe_id}", "allows none", "Leave it away.")
    if names.dns and not profile.dns_names:
        raise _name_refused(profile, f"would name {', '.join(names.dns)}", "allows no DNS names", "Leave it away.")
    if names.ips and not profile.ip_addresses:
        raise _name_refused(profile, f"would name {_listed(names.ips)}", "allows no IP addresses", "Leave it away.")
    if needs_name(profile) and names == _NOBODY:
        raise _name_refused(profile, "names nobody", "needs a name", "Give it a SPIFFE ID, DNS name or address.")
    if faults := list(profile.names.faults(names)):
        raise Refused(
            Code.REQUEST_NAME_NOT_ALLOWED,
            "The names were refused",
            f"by the name rules of the profile {profile}: {'; '.join(faults)}",
            "Use a name that the profile allows, or another profile.",
        )


def needs_name(profile: Profile) -> bool:
    """Whether a certificate of the profile has a subject alternative name: not where no kind of name is allowed."""
    return profile.spiffe_id is not Presence.NONE or profile.dns_names or profile.ip_addresses


def _with_common_name(profile: Profile, names: Names, common_name: str | None) -> Names:
    if not common_name or profile.is_ca or not needs_name(profile):
        return names
    texts = {*map(str, names.ips), *names.dns}
    if names.spiffe_id is not None:
        texts |= {names.spiffe_id.name, str(names.spiffe_id)}
    if common_name in texts:
        return names
    lower = dns_name(common_name)
    return names if lower in names.dns else Names(names.spiffe_id, (lower, *names.dns), names.ips)


def _check_extensions(profile: Profile, wishes: Wishes) -> None:
    if wishes.is_ca and not profile.is_ca:
        raise _extension_refused(
            profile, "an authority's certificate (basic constraints or key usage)", "makes no authorities"
        )
    allowed = {usage.dotted_string for usage in profile.extended_key_usages}
    if wanted := [usage.dotted_string for usage in wishes.usages if usage.dotted_string not in allowed]:
        rule = f"has the extended key usages {_listed(sorted(allowed))}" if allowed else "has no extended key usage"
        raise _extension_refused(profile, f"the extended key usage {_listed(wanted)}", rule)
    if wishes.extensions:
        raise _extension_refused(profile, f"the extension {_listed(wishes.extensions)}", "does not give it on request")


def _extension_refused(profile: Profile, asked: str, rule: str) -> Refused:
    return Refused(
        Code.REQUEST_EXTENSION_NOT_ALLOWED,
        "The certificate request was refused",
        f"it asks for {asked}, and the profile {profile} {rule}",
        "Leave that out of the request, or use a profile that allows it.",
    )


def _name_refused(profile: Profile, certificate: str, rule: str, fix: str) -> Refused:
    return Refused(
        Code.REQUEST_NAME_NOT_ALLOWED,
        "The names were refused",
        f"the certificate {certificate}, and the profile {profile} {rule}",
        fix,
    )


def _refused(asked: str, rule: str) -> Refused:
    return Refused(
        Code.REQUEST_NAME_NOT_ALLOWED,
        "The certificate request was refused",
        f"{asked}, and {rule}",
        "Make a request for names that the profile allows.",
    )


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
