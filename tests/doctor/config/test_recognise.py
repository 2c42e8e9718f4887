"""Whose configuration a file is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.doctor.config.recognise import product

_TEXTS = {
    "nginx": b"server {\n  listen 443 ssl;\n  ssl_verify_client on;\n  location / { proxy_pass http://app; }\n}\n",
    "haproxy": b"defaults\n  mode http\n  timeout client 5s\nfrontend api\n  bind :443 ssl crt s.pem verify required\n",
    "apache": b"<VirtualHost *:443>\n  SSLEngine on\n  SSLVerifyClient require\n</VirtualHost>\n",
    "envoy": b"static_resources:\n  listeners:\n  - name: api\n    filter_chains:\n    - transport_socket:\n",
    "caddy": b"api.test {\n  tls s.pem s.key {\n    client_auth {\n    }\n  }\n  reverse_proxy app:80\n}\n",
}


@pytest.mark.parametrize(("which", "text"), _TEXTS.items(), ids=_TEXTS)
def test_a_product_is_known_by_what_the_file_holds(which: str, text: bytes) -> None:
    """Whatever its name is."""
    assert product("/tmp/config.txt", text) == which


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("/etc/nginx/sites-enabled/default", "nginx"),
        ("/etc/haproxy/haproxy.cfg", "haproxy"),
        ("/etc/apache2/ports.conf", "apache"),
        ("/etc/httpd/conf.d/ssl.conf", "apache"),
        ("/etc/envoy/envoy.yaml", "envoy"),
        ("/srv/Caddyfile", "caddy"),
        ("/srv/settings.ini", ""),
    ],
)
def test_a_file_that_says_nothing_goes_by_its_name(name: str, which: str) -> None:
    """Its own, then that of a directory above it."""
    assert product(name, b"# nothing\n") == which


@given(st.text(max_size=100), st.binary(max_size=300))
def test_nothing_raises(name: str, data: bytes) -> None:
    """There is always an answer, if an empty one."""
    assert product(name, data) in {"", *_TEXTS}
