"""Python: the standard library's ``ssl``, whose context goes to urllib, aiohttp, httpx; and requests."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Program, Use

_TRUST = ("context = ssl.create_default_context(cafile={cacert})",)
_CONTEXT = (*_TRUST, "context.load_cert_chain({show}, {key})")
_CALL = ('urllib.request.urlopen("{url}", context=context)',)
_REQUESTS = '# requests: requests.get("{url}", cert=({show}, {key}), verify={cacert})'

PYTHON = Program(
    "python",
    {
        Use.PRESENT: Lines((*_CONTEXT, *_CALL, _REQUESTS)),
        Use.TRUST: Lines((*_TRUST, *_CALL, '# requests: requests.get("{url}", verify={cacert})')),
        Use.VERSIONS: Lines(
            (
                *_CONTEXT,
                "context.minimum_version = ssl.TLSVersion.TLSv1_2",
                "context.maximum_version = ssl.TLSVersion.TLSv1_3",
                *_CALL,
            )
        ),
        Use.CIPHERS: Lines((*_CONTEXT, 'context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")', *_CALL)),
        Use.GROUPS: Lines(
            (*_CONTEXT, "# nothing but the default of OpenSSL: no set_ecdh_curve, no Groups in openssl.cnf", *_CALL),
        ),
        Use.NAME: Lines(
            (
                *_CONTEXT,
                'connection = socket.create_connection(("{host}", {port}))',
                'context.wrap_socket(connection, server_hostname="api.example.com")',
            ),
        ),
        Use.HTTPS: Lines((*_CONTEXT, *_CALL, _REQUESTS)),
        Use.PASSPHRASE: Lines(
            (
                *_TRUST,
                'context.load_cert_chain({show}, {key}, password=lambda: open("passphrase.txt").read().strip())',
                *_CALL,
            ),
        ),
        Use.DIRECT: Lines(
            (
                *_CONTEXT,
                "opener = urllib.request.build_opener(",
                "    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)",
                ")",
                'opener.open("{url}")',
            ),
        ),
    },
)
