"""Who wrote a line, as far as the line itself tells.

OpenSSL's function names tell: ``tls_process_server_certificate`` runs in a client, ``tls_process_client_certificate``
in a server. So do the phrases with which nginx, Apache and others end their lines.
"""

from __future__ import annotations

import re
from typing import Final

from handclasp.doctor.words.rule import Speaker

_SERVER: Final = re.compile(
    r"SSL handshaking, client|while (?:reading|waiting for|processing) (?:client|request|PROXY)"
    r"|\[client [0-9a-f.:]{2,45}"
    r"|TLS handshake error from"
    r"|process_client_(?:certificate|hello|key_exchange|verify)"
    r"|ssl3_get_client_"
    r"|SSL_accept|ssl_accept|ossl_statem_accept|tls_early_post_process_client_hello|ssl3_get_cert_verify"
    r"|http-nio|https-jsse|NioEndpoint|\bqtp\d{1,12}|ServerHandler|in handshake \(server"
    r"|sslHandshakeError|tlsClientError|http-in/|frontend|\bfe_|downstream"
    r"|accept_read|error accepting|accept failed|handshake with client|bad handshake from",
    re.IGNORECASE,
)
_CLIENT: Final = re.compile(
    r"handshaking to upstream|(?:connecting|request|response header) (?:to|from) upstream|proxy_ssl|SSL Proxy"
    r"|process_server_certificate|process_certificate_request|ssl3_get_server_|SSL_connect|ossl_statem_connect"
    r"|\bcurl: \(|upstream connect error|UPSTREAM_|HTTPSConnectionPool|urlopen error"
    r"|\b(?:Get|Post|Put|Head|Patch|Delete) \\?\"https?://"
    r"|client certificate[^a-z]{0,3}(?:was )?rejected",
    re.IGNORECASE,
)


def speaker_of(line: str) -> Speaker:
    """Whether a client or a server wrote ``line``; a proxy that speaks to its upstream is a client."""
    if _CLIENT.search(line):
        return Speaker.CLIENT
    if _SERVER.search(line):
        return Speaker.SERVER
    return Speaker.UNSAID
