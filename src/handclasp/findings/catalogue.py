"""The closed catalogue of codes. Codes are public: a code once published keeps its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Code(StrEnum):
    """Why something was accepted, refused, or failed."""

    OK = "OK"
    # The handshake, seen from the gateway
    CLIENT_CERT_MISSING = "CLIENT_CERT_MISSING"
    CLIENT_CERT_UNKNOWN_CA = "CLIENT_CERT_UNKNOWN_CA"
    CLIENT_CERT_SELF_SIGNED = "CLIENT_CERT_SELF_SIGNED"
    CLIENT_CERT_EXPIRED = "CLIENT_CERT_EXPIRED"
    CLIENT_CERT_NOT_YET_VALID = "CLIENT_CERT_NOT_YET_VALID"
    CLIENT_CERT_WRONG_EKU = "CLIENT_CERT_WRONG_EKU"
    CLIENT_CERT_REVOKED = "CLIENT_CERT_REVOKED"
    CLIENT_CHAIN_INVALID = "CLIENT_CHAIN_INVALID"
    CLIENT_CHAIN_TOO_DEEP = "CLIENT_CHAIN_TOO_DEEP"
    CLIENT_IDENTITY_NOT_ALLOWED = "CLIENT_IDENTITY_NOT_ALLOWED"
    SERVER_CERT_UNKNOWN_CA = "SERVER_CERT_UNKNOWN_CA"
    SERVER_CRL_EXPIRED = "SERVER_CRL_EXPIRED"
    SERVER_CRL_MISSING = "SERVER_CRL_MISSING"
    TLS_VERSION_MISMATCH = "TLS_VERSION_MISMATCH"
    TLS_NO_SHARED_CIPHER = "TLS_NO_SHARED_CIPHER"
    TLS_NO_SHARED_GROUP = "TLS_NO_SHARED_GROUP"
    TLS_SNI_UNRECOGNIZED = "TLS_SNI_UNRECOGNIZED"
    PROTO_PLAIN_HTTP_TO_TLS = "PROTO_PLAIN_HTTP_TO_TLS"
    PROTO_NOT_TLS = "PROTO_NOT_TLS"
    NET_CLOSED_DURING_HANDSHAKE = "NET_CLOSED_DURING_HANDSHAKE"
    NET_HANDSHAKE_TIMEOUT = "NET_HANDSHAKE_TIMEOUT"
    # The request, once the caller is known
    POLICY_NO_RULE_ALLOWS = "POLICY_NO_RULE_ALLOWS"
    ROUTE_MISDIRECTED = "ROUTE_MISDIRECTED"
    ROUTE_PATH_REJECTED = "ROUTE_PATH_REJECTED"
    UPSTREAM_UNREACHABLE = "UPSTREAM_UNREACHABLE"
    UPSTREAM_UNTRUSTED = "UPSTREAM_UNTRUSTED"
    UPSTREAM_RESET = "UPSTREAM_RESET"
    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"
    GATEWAY_BAD_REQUEST = "GATEWAY_BAD_REQUEST"
    GATEWAY_CLIENT_GONE = "GATEWAY_CLIENT_GONE"
    GATEWAY_OTHER = "GATEWAY_OTHER"
    # A certificate request
    REQUEST_MALFORMED = "REQUEST_MALFORMED"
    REQUEST_BAD_SIGNATURE = "REQUEST_BAD_SIGNATURE"
    REQUEST_KEY_NOT_ALLOWED = "REQUEST_KEY_NOT_ALLOWED"
    REQUEST_NAME_NOT_ALLOWED = "REQUEST_NAME_NOT_ALLOWED"
    REQUEST_LIFETIME_NOT_ALLOWED = "REQUEST_LIFETIME_NOT_ALLOWED"
    REQUEST_LINT = "REQUEST_LINT"
    REQUEST_IDENTITY_UNKNOWN = "REQUEST_IDENTITY_UNKNOWN"
    REQUEST_IDENTITY_REVOKED = "REQUEST_IDENTITY_REVOKED"
    # Settings and state on this machine
    CONFIG_INVALID = "CONFIG_INVALID"
    CONFIG_MISSING = "CONFIG_MISSING"
    CONFIG_CONFLICT = "CONFIG_CONFLICT"
    CONFIG_NO_TRUST_ROOTS = "CONFIG_NO_TRUST_ROOTS"
    STATE_UNWRITABLE = "STATE_UNWRITABLE"
    STATE_IN_USE = "STATE_IN_USE"
    STATE_NEWER = "STATE_NEWER"
    STATE_DAMAGED = "STATE_DAMAGED"
    STATE_FILE_EXISTS = "STATE_FILE_EXISTS"
    STATE_KEY_MISSING = "STATE_KEY_MISSING"
    GATEWAY_PORT_TAKEN = "GATEWAY_PORT_TAKEN"
    GATEWAY_PORT_PRIVILEGED = "GATEWAY_PORT_PRIVILEGED"
    GATEWAY_ADDRESS_UNAVAILABLE = "GATEWAY_ADDRESS_UNAVAILABLE"
    GATEWAY_CANNOT_START = "GATEWAY_CANNOT_START"
    GATEWAY_REJECTED_CONFIG = "GATEWAY_REJECTED_CONFIG"
    GATEWAY_NOT_ACKNOWLEDGED = "GATEWAY_NOT_ACKNOWLEDGED"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a code means: one line of meaning, and what to do about it."""

    meaning: str
    remedy: str


def _catalogue() -> dict[Code, Entry]:
    c = Code
    return {
        c.OK: Entry("Accepted.", "Nothing."),
        c.CLIENT_CERT_MISSING: Entry(
            "The caller sent no certificate, and this service requires one.",
            "Give the caller a certificate: handclasp client add NAME, then curl --cert and --key.",
        ),
        c.CLIENT_CERT_UNKNOWN_CA: Entry(
            "The caller's certificate was not issued by this gateway's authority.",
            "Issue the caller a certificate here: handclasp client add NAME.",
        ),
        c.CLIENT_CERT_SELF_SIGNED: Entry(
            "The caller's certificate is self-signed.",
            "Issue the caller a certificate here: handclasp client add NAME.",
        ),
        c.CLIENT_CERT_EXPIRED: Entry(
            "The caller's certificate has expired.",
            "Renew it: handclasp client renew NAME, and give the caller the new chain.",
        ),
        c.CLIENT_CERT_NOT_YET_VALID: Entry(
            "The caller's certificate is not valid yet.",
            "Compare the clocks of the gateway and of the machine that issued the certificate.",
        ),
        c.CLIENT_CERT_WRONG_EKU: Entry(
            "The caller's certificate is not meant for clients (its extended key usage lacks clientAuth).",
            "A server certificate was sent. Use one made by: handclasp client add NAME.",
        ),
        c.CLIENT_CERT_REVOKED: Entry(
            "The caller's certificate was revoked.",
            "If the caller should have access again: handclasp client add NAME.",
        ),
        c.CLIENT_CHAIN_INVALID: Entry(
            "The caller's certificate chain does not verify.",
            "Send the chain that handclasp wrote (chain.pem), unchanged.",
        ),
        c.CLIENT_CHAIN_TOO_DEEP: Entry(
            "The caller's certificate chain is too long.",
            "Send only the caller's certificate and its issuing authority (chain.pem).",
        ),
        c.CLIENT_IDENTITY_NOT_ALLOWED: Entry(
            "The caller's certificate names no identity of this trust domain.",
            "Issue a certificate with a SPIFFE ID here: handclasp client add NAME.",
        ),
        c.SERVER_CERT_UNKNOWN_CA: Entry(
            "The caller ended the handshake; most often it does not trust the gateway's certificate.",
            "Give the caller this gateway's trust bundle (bundle.pem): curl --cacert bundle.pem.",
        ),
        c.SERVER_CRL_EXPIRED: Entry(
            "The gateway's own revocation list has expired, so it refuses every caller.",
            "Start handclasp up: it signs a fresh list. Check that the issuing key is in place.",
        ),
        c.SERVER_CRL_MISSING: Entry(
            "The gateway has no revocation list of the authority that issued this certificate.",
            "Start handclasp up: it signs one. Check that the issuing key is in place.",
        ),
        c.TLS_VERSION_MISMATCH: Entry(
            "The caller speaks no TLS version that the gateway accepts (1.2 and 1.3).",
            "Upgrade the caller's TLS library, or allow TLS 1.2 or 1.3 in its settings.",
        ),
        c.TLS_NO_SHARED_CIPHER: Entry(
            "The caller offers no cipher that the gateway accepts (AEAD ciphers with ECDHE only).",
            "Allow ECDHE with AES-GCM or ChaCha20-Poly1305 in the caller's settings.",
        ),
        c.TLS_NO_SHARED_GROUP: Entry(
            "The caller offers no key-exchange group that the gateway accepts.",
            "Allow X25519 or P-256 in the caller's settings.",
        ),
        c.TLS_SNI_UNRECOGNIZED: Entry(
            "The caller asked for a host name (SNI) that no service on this port has, or for none.",
            "Call the service by one of its hosts, or add the name to its hosts in handclasp.yaml.",
        ),
        c.PROTO_PLAIN_HTTP_TO_TLS: Entry(
            "The caller spoke plain HTTP to a TLS port.",
            "Call https:// instead of http://.",
        ),
        c.PROTO_NOT_TLS: Entry(
            "What the caller sent is not TLS.",
            "Check which program calls this port.",
        ),
        c.NET_CLOSED_DURING_HANDSHAKE: Entry(
            "The caller closed the connection before the handshake was done.",
            "A port scan or a TCP health check does this; if it was a real caller, look at its own log.",
        ),
        c.NET_HANDSHAKE_TIMEOUT: Entry(
            "The caller did not finish the handshake in time.",
            "Look for a slow or blocked network between the caller and the gateway.",
        ),
        c.POLICY_NO_RULE_ALLOWS: Entry(
            "The caller is known, but no rule of the service allows this request.",
            "Ask: handclasp can CALLER METHOD PATH. To allow it, add a rule in handclasp.yaml.",
        ),
        c.ROUTE_MISDIRECTED: Entry(
            "The Host of the request does not belong to the service that the connection was made for.",
            "Open a connection of its own for that host, or add the name to the service's hosts.",
        ),
        c.ROUTE_PATH_REJECTED: Entry(
            "The path can be read in two ways (an encoded slash, a NUL, a fragment, a dot segment with parameters).",
            "Send the path without %2F, %5C, %00, # and segments such as ..;x.",
        ),
        c.UPSTREAM_UNREACHABLE: Entry(
            "The API behind the gateway could not be reached.",
            "Start the API, or correct the service's upstream in handclasp.yaml.",
        ),
        c.UPSTREAM_UNTRUSTED: Entry(
            "The API's own certificate did not verify, so the gateway did not talk to it.",
            "Name the API's authority with upstream_ca, or correct the host in upstream.",
        ),
        c.UPSTREAM_RESET: Entry(
            "The API broke off the connection before it answered.",
            "Look at the API's own log at this time.",
        ),
        c.UPSTREAM_TIMEOUT: Entry(
            "The API did not answer in time.",
            "Look at the API's own log at this time.",
        ),
        c.GATEWAY_BAD_REQUEST: Entry(
            "The request is not valid HTTP, or larger than the gateway accepts.",
            "Look at what the caller sends.",
        ),
        c.GATEWAY_CLIENT_GONE: Entry(
            "The caller went away before the answer was complete.",
            "Nothing here; the caller may have a timeout of its own.",
        ),
        c.GATEWAY_OTHER: Entry(
            "The gateway answered by itself, for a reason that has no code yet.",
            "Read the reason beside it, and please report it.",
        ),
        c.REQUEST_MALFORMED: Entry(
            "The certificate request cannot be read.",
            "Send one PKCS#10 request, PEM or DER.",
        ),
        c.REQUEST_BAD_SIGNATURE: Entry(
            "The certificate request is not signed by its own key.",
            "Make the request anew with the private key that belongs to it.",
        ),
        c.REQUEST_KEY_NOT_ALLOWED: Entry(
            "The profile does not allow this kind of key.",
            "Make a key of a kind that the profile allows.",
        ),
        c.REQUEST_NAME_NOT_ALLOWED: Entry(
            "The name is not valid, or the profile does not allow it.",
            "Use a name that the message allows.",
        ),
        c.REQUEST_LIFETIME_NOT_ALLOWED: Entry(
            "The lifetime is longer or shorter than the profile allows.",
            "Ask for a lifetime within the limits that the message names.",
        ),
        c.REQUEST_LINT: Entry(
            "The certificate would break a rule of RFC 5280 or of its profile, so it was not signed.",
            "Correct what the message names.",
        ),
        c.REQUEST_IDENTITY_UNKNOWN: Entry(
            "No certificate was ever issued to this identity.",
            "See the identities: handclasp client list. To make one: handclasp client add NAME.",
        ),
        c.REQUEST_IDENTITY_REVOKED: Entry(
            "Every certificate of this identity is revoked or expired; there is nothing to renew.",
            "A new grant: handclasp client add NAME.",
        ),
        c.CONFIG_INVALID: Entry(
            "A setting cannot be used.",
            "Correct the line that the message names; handclasp config validate checks the file.",
        ),
        c.CONFIG_MISSING: Entry(
            "There is no handclasp.yaml.",
            "Make one: handclasp up --upstream URL, or handclasp up --demo.",
        ),
        c.CONFIG_CONFLICT: Entry(
            "What was asked for on the command line contradicts handclasp.yaml or the state.",
            "Change the line that the message names, or leave the option away.",
        ),
        c.CONFIG_NO_TRUST_ROOTS: Entry(
            "An https:// upstream must be verified, and there is no certificate authority to verify it with.",
            "Name the API's authority with upstream_ca, or install the system's ca-certificates.",
        ),
        c.STATE_UNWRITABLE: Entry(
            "The state directory cannot be written.",
            "Choose another with --dir, or correct its owner and mode.",
        ),
        c.STATE_IN_USE: Entry(
            "Another handclasp up runs in this state directory.",
            "Stop it, or choose another directory with --dir.",
        ),
        c.STATE_NEWER: Entry(
            "The state directory was written by a newer Handclasp.",
            "Use that version, or choose another directory with --dir.",
        ),
        c.STATE_DAMAGED: Entry(
            "A file of the state directory is missing or does not fit the others.",
            "Restore the file from a backup.",
        ),
        c.STATE_FILE_EXISTS: Entry(
            "A file that would be written is there already.",
            "Choose another directory with --out, or renew: handclasp client renew NAME.",
        ),
        c.STATE_KEY_MISSING: Entry(
            "A private key that is needed for this is not on this machine.",
            "Put the key file back where the message says, for as long as it is needed.",
        ),
        c.GATEWAY_PORT_TAKEN: Entry(
            "Another program listens on this port.",
            "Stop that program, or change listen in handclasp.yaml.",
        ),
        c.GATEWAY_PORT_PRIVILEGED: Entry(
            "Ports below 1024 need a right that this user does not have.",
            "Use a port from 1024 up, or grant the right (CAP_NET_BIND_SERVICE).",
        ),
        c.GATEWAY_ADDRESS_UNAVAILABLE: Entry(
            "This machine does not have the address to listen on.",
            "Change listen in handclasp.yaml to an address of this machine.",
        ),
        c.GATEWAY_CANNOT_START: Entry(
            "Envoy could not be started.",
            "Read the reason beside it and the file log/envoy.log in the state directory.",
        ),
        c.GATEWAY_REJECTED_CONFIG: Entry(
            "Envoy rejected the configuration made for it; the last good one goes on serving.",
            "This is a fault of Handclasp: please report it with the reason beside it.",
        ),
        c.GATEWAY_NOT_ACKNOWLEDGED: Entry(
            "Envoy has not confirmed the change in time.",
            "Look at handclasp status; the change is recorded and goes out as soon as Envoy answers.",
        ),
    }


CATALOGUE: Mapping[Code, Entry] = MappingProxyType(_catalogue())
