"""The names of numbers in TLS, as IANA and the RFCs write them."""

from __future__ import annotations

from typing import Final

VERSIONS: Final = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}

CIPHERS: Final = {
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0xC02B: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    0xC02C: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    0xC02F: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    0xC030: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    0xCCA8: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    0xCCA9: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    0xCCAA: "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    0x009C: "TLS_RSA_WITH_AES_128_GCM_SHA256",
    0x009D: "TLS_RSA_WITH_AES_256_GCM_SHA384",
    0x009E: "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
    0x009F: "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
    0xC009: "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    0xC00A: "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    0xC013: "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    0xC014: "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    0xC023: "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    0xC024: "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
    0xC027: "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    0xC028: "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
    0x002F: "TLS_RSA_WITH_AES_128_CBC_SHA",
    0x0033: "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
    0x0035: "TLS_RSA_WITH_AES_256_CBC_SHA",
    0x0039: "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
    0x003C: "TLS_RSA_WITH_AES_128_CBC_SHA256",
    0x003D: "TLS_RSA_WITH_AES_256_CBC_SHA256",
    0x0067: "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256",
    0x006B: "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256",
}

GROUPS: Final = {
    0x0017: "secp256r1",
    0x0018: "secp384r1",
    0x0019: "secp521r1",
    0x001D: "x25519",
    0x001E: "x448",
    0x0100: "ffdhe2048",
    0x0101: "ffdhe3072",
    0x0102: "ffdhe4096",
    0x0103: "ffdhe6144",
    0x0104: "ffdhe8192",
    0x0200: "MLKEM512",
    0x0201: "MLKEM768",
    0x0202: "MLKEM1024",
    0x11EB: "SecP256r1MLKEM768",
    0x11EC: "X25519MLKEM768",
    0x11ED: "SecP384r1MLKEM1024",
}
_POST_QUANTUM: Final = frozenset(number for number, name in GROUPS.items() if "MLKEM" in name)

ECDSA_P256, ECDSA_P384, ECDSA_P521, ED25519, ED448 = 0x0403, 0x0503, 0x0603, 0x0807, 0x0808
RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512 = 0x0804, 0x0805, 0x0806
RSA_PSS_PSS_SHA256, RSA_PSS_PSS_SHA384, RSA_PSS_PSS_SHA512 = 0x0809, 0x080A, 0x080B
RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512 = 0x0401, 0x0501, 0x0601
ML_DSA_44, ML_DSA_65, ML_DSA_87 = 0x0904, 0x0905, 0x0906

SCHEMES: Final = {
    0x0201: "rsa_pkcs1_sha1",
    0x0202: "dsa_sha1",
    0x0203: "ecdsa_sha1",
    0x0301: "rsa_pkcs1_sha224",
    0x0302: "dsa_sha224",
    0x0303: "ecdsa_sha224",
    RSA_PKCS1_SHA256: "rsa_pkcs1_sha256",
    0x0402: "dsa_sha256",
    ECDSA_P256: "ecdsa_secp256r1_sha256",
    RSA_PKCS1_SHA384: "rsa_pkcs1_sha384",
    0x0502: "dsa_sha384",
    ECDSA_P384: "ecdsa_secp384r1_sha384",
    RSA_PKCS1_SHA512: "rsa_pkcs1_sha512",
    0x0602: "dsa_sha512",
    ECDSA_P521: "ecdsa_secp521r1_sha512",
    RSA_PSS_SHA256: "rsa_pss_rsae_sha256",
    RSA_PSS_SHA384: "rsa_pss_rsae_sha384",
    RSA_PSS_SHA512: "rsa_pss_rsae_sha512",
    ED25519: "ed25519",
    ED448: "ed448",
    RSA_PSS_PSS_SHA256: "rsa_pss_pss_sha256",
    RSA_PSS_PSS_SHA384: "rsa_pss_pss_sha384",
    RSA_PSS_PSS_SHA512: "rsa_pss_pss_sha512",
    0x081A: "ecdsa_brainpoolP256r1tls13_sha256",
    0x081B: "ecdsa_brainpoolP384r1tls13_sha384",
    0x081C: "ecdsa_brainpoolP512r1tls13_sha512",
    ML_DSA_44: "mldsa44",
    ML_DSA_65: "mldsa65",
    ML_DSA_87: "mldsa87",
}

ALERTS: Final = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    52: "too_many_cids_requested",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
    121: "ech_required",
}

EXTENSIONS: Final = {
    0: "server_name",
    1: "max_fragment_length",
    5: "status_request",
    10: "supported_groups",
    11: "ec_point_formats",
    13: "signature_algorithms",
    14: "use_srtp",
    15: "heartbeat",
    16: "application_layer_protocol_negotiation",
    18: "signed_certificate_timestamp",
    19: "client_certificate_type",
    20: "server_certificate_type",
    21: "padding",
    22: "encrypt_then_mac",
    23: "extended_master_secret",
    27: "compress_certificate",
    28: "record_size_limit",
    35: "session_ticket",
    41: "pre_shared_key",
    42: "early_data",
    43: "supported_versions",
    44: "cookie",
    45: "psk_key_exchange_modes",
    47: "certificate_authorities",
    48: "oid_filters",
    49: "post_handshake_auth",
    50: "signature_algorithms_cert",
    51: "key_share",
    0xFF01: "renegotiation_info",
}


def version_name(number: int) -> str:
    """TLS 1.3 for 0x0304."""
    return VERSIONS.get(number) or f"0x{number:04X}"


def cipher_name(number: int) -> str:
    """The name in IANA's registry of cipher suites."""
    return CIPHERS.get(number) or f"0x{number:04X}"


def group_name(number: int) -> str:
    """x25519, secp256r1, X25519MLKEM768."""
    return GROUPS.get(number) or f"0x{number:04X}"


def is_post_quantum(group: int) -> bool:
    """The key exchange withstands a quantum computer: ML-KEM is part of it."""
    return group in _POST_QUANTUM


def scheme_name(number: int) -> str:
    """The SignatureScheme (RFC 8446 §4.2.3)."""
    return SCHEMES.get(number) or f"0x{number:04X}"


def alert_name(number: int) -> str:
    """The AlertDescription (RFC 8446 §6, RFC 5246 §7.2)."""
    return ALERTS.get(number) or f"alert {number}"


def extension_name(number: int) -> str:
    """The ExtensionType (RFC 8446 §4.2)."""
    return EXTENSIONS.get(number) or f"extension {number}"
