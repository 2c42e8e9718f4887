"""curl, and whoever takes its command line for the shortest way to say what a client does."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Program, Use

_CALL = "curl --cacert {cacert} --cert {show} --key {key}"

CURL = Program(
    "curl",
    {
        Use.PRESENT: Lines(commands=(f"{_CALL} {{url}}",)),
        Use.TRUST: Lines(commands=("curl --cacert {cacert} {url}",)),
        Use.VERSIONS: Lines(commands=(f"{_CALL} --tlsv{{version}} --tls-max {{version}} {{url}}",)),
        Use.CIPHERS: Lines(commands=(f"{_CALL} --ciphers ECDHE+AESGCM:ECDHE+CHACHA20 {{url}}",)),
        Use.GROUPS: Lines(commands=(f"{_CALL} --curves X25519:P-256 {{url}}",)),
        Use.NAME: Lines(
            commands=(
                "openssl s_client -connect {target} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName",
                "curl --cacert {cacert} --connect-to api.example.com:443:{target} https://api.example.com/",
            ),
        ),
        Use.HTTPS: Lines(commands=(f"{_CALL} {{url}}",)),
        Use.PASSPHRASE: Lines(
            commands=(f'{_CALL} --config <(printf \'pass = "%s"\\n\' "$(cat passphrase.txt)") {{url}}',),
        ),
        Use.DIRECT: Lines(commands=(f"{_CALL} --noproxy '*' {{url}}",)),
    },
)
