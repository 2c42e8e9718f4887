"""A client of whatever program: what OpenSSL's own does, to compare with."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Program, Use

_CALL = "openssl s_client -connect {target} -servername {host}"
_SHOW = f"{_CALL} -CAfile {{cacert}} -cert {{show}} -cert_chain {{show}} -key {{key}}"

ANY_CLIENT = Program(
    "",
    {
        Use.PRESENT: Lines(commands=(f"{_SHOW} </dev/null",)),
        Use.TRUST: Lines(commands=(f"{_CALL} -CAfile {{cacert}} -verify_return_error </dev/null",)),
        Use.VERSIONS: Lines(commands=(f"{_CALL} -min_protocol TLSv1.2 -max_protocol TLSv1.3 </dev/null",)),
        Use.CIPHERS: Lines(commands=(f"{_CALL} -cipher ECDHE+AESGCM:ECDHE+CHACHA20 </dev/null",)),
        Use.GROUPS: Lines(commands=(f"{_CALL} -groups X25519:P-256 </dev/null",)),
        Use.NAME: Lines(
            commands=(
                "openssl s_client -connect {target} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName",
                "openssl s_client -connect {target} -servername api.example.com </dev/null",
            ),
        ),
        Use.HTTPS: Lines(commands=("curl -v {url}",)),
        Use.PASSPHRASE: Lines(commands=(f"{_SHOW} -pass file:passphrase.txt </dev/null",)),
        Use.DIRECT: Lines(commands=("env -u HTTPS_PROXY -u https_proxy curl -v {url}",)),
    },
)
