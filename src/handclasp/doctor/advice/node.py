"""Node.js: an ``https.Agent``."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Program, Use

_FILES = "cert: fs.readFileSync({show}), key: fs.readFileSync({key}), ca: fs.readFileSync({cacert})"
_CALL = 'https.get("{url}", { agent }, (response) => response.pipe(process.stdout));'


def _agent(more: str = "") -> tuple[str, ...]:
    return (f"const agent = new https.Agent({{ {_FILES}{more} }});", _CALL)


NODE = Program(
    "node",
    {
        Use.PRESENT: Lines(_agent()),
        Use.TRUST: Lines(
            ("const agent = new https.Agent({ ca: fs.readFileSync({cacert}) });", _CALL),
            ("NODE_EXTRA_CA_CERTS={cacert} node client.js",),
        ),
        Use.VERSIONS: Lines(_agent(", minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3'")),
        Use.CIPHERS: Lines(_agent(", ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE+AESGCM:ECDHE+CHACHA20'")),
        Use.GROUPS: Lines(_agent(", ecdhCurve: 'X25519:P-256'")),
        Use.NAME: Lines(_agent(", servername: 'api.example.com'")),
        Use.HTTPS: Lines(_agent()),
        Use.PASSPHRASE: Lines(_agent(", passphrase: fs.readFileSync('passphrase.txt', 'utf8').trim()")),
        Use.DIRECT: Lines(_agent(), ("env -u HTTPS_PROXY -u https_proxy -u NODE_USE_ENV_PROXY node client.js",)),
    },
)
