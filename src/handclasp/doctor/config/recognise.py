"""Whose configuration a file is, by its name and by what it holds."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

_SAMPLE: Final = 200_000  # octets that are looked at

_NAMES: Final = (
    (re.compile(r"nginx"), "nginx"),
    (re.compile(r"haproxy"), "haproxy"),
    (re.compile(r"envoy"), "envoy"),
    (re.compile(r"caddyfile|caddy\."), "caddy"),
    (re.compile(r"apache2?\.conf|httpd.*\.conf|^ports\.conf$|^\.htaccess$"), "apache"),
)
# Each a sign at the start of a line; the product with the most signs is it.
_SIGNS: Final = {
    "nginx": rb"(?:http|stream|events|server|upstream \S+|location [^\n{]+) ?\{|ssl_\w+ [^\n]*;|listen [^\n]*;"
    rb"|proxy_pass [^\n]*;|server_name [^\n]*;|worker_\w+ [^\n]*;|include [^\n]*;",
    "haproxy": rb"(?:global|defaults|frontend|backend|listen)(?: [\w.:-]+)?[ \t\r]*$|bind [^\n]*ssl|timeout \w+ \d"
    rb"|mode (?:http|tcp)|http-request |use_backend |default_backend |ssl-default-bind",
    "apache": rb"</?(?:VirtualHost|Directory|Location|IfModule|IfDefine|Proxy|FilesMatch|Files)\b|SSL[A-Z]\w+ "
    rb"|LoadModule |ServerRoot |ServerName |DocumentRoot |Listen \S+[ \t\r]*$|RequestHeader |ProxyPass ",
    "envoy": rb"(?:- )?\"?(?:static_resources|filter_chains|dynamic_resources|transport_socket|admin|typed_config"
    rb"|common_tls_context|require_client_certificate|lds_config|listeners|clusters)\"? ?:"
    rb"|[^\n]{0,200}envoy\.extensions\.",
    "caddy": rb"reverse_proxy [^\n;]*$|client_auth ?\{|tls (?:[^\n;]*)$|respond [^\n;]*$|file_server"
    rb"|handle(?:_path)? [^\n;]*\{"
    rb"|trust_pool |php_fastcgi |\"apps\" ?:",
}
_FOUND: Final = {
    product: re.compile(rb"^[ \t]{0,80}(?:" + signs + rb")", re.MULTILINE) for product, signs in _SIGNS.items()
}
_ENOUGH: Final = 50


def product(name: str, data: bytes) -> str:
    """``nginx``, ``haproxy``, ``apache``, ``envoy`` or ``caddy``; empty where neither tells. Never raises.

    What the file holds counts before its name; a file that says nothing clear goes by its name, and then by its
    directory (``/etc/nginx/sites-enabled/default``).
    """
    sample = data[:_SAMPLE]
    counts = {which: _count(pattern, sample) for which, pattern in _FOUND.items()}
    best = max(counts.values())
    leading = [which for which, count in counts.items() if count == best]
    named = _by_name(name)
    if best and (len(leading) == 1 or named in leading):
        return named if named in leading else leading[0]
    return named


def _count(pattern: re.Pattern[bytes], sample: bytes) -> int:
    count = 0
    for _ in pattern.finditer(sample):
        count += 1
        if count == _ENOUGH:
            break
    return count


def _by_name(name: str) -> str:
    path = PurePosixPath(name.lower())
    for text in (path.name, *reversed(path.parts[:-1])):
        for pattern, which in _NAMES:
            if pattern.search(text):
                return which
    if any(part in {"apache2", "httpd"} for part in path.parts):
        return "apache"
    return ""
