"""A server of whatever product: where it is not known, this says which setting to look for."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Product, Setting

ANY_SERVER = Product(
    "",
    {
        Setting.REQUIRE: Lines(
            commands=("curl -v --cacert {cacert} {url}",),
            what="Have the server require a client certificate and verify it; without one this must then be refused.",
        ),
        Setting.CHECK: Lines(commands=("openssl s_client -connect {target} -servername {host} </dev/null",)),
        Setting.START: Lines(commands=("nc -vz -w 5 {host} {port}",)),
        Setting.LOG: Lines(
            commands=("openssl s_client -connect {target} -servername {host} -state -msg </dev/null",),
        ),
        Setting.DEPTH: Lines(
            commands=("openssl verify -show_chain -CAfile {bundle} -untrusted {caller_chain} {caller_cert}",)
        ),
        Setting.VERSIONS: Lines(
            commands=tuple(f"openssl s_client -connect {{target}} -tls1_{one} </dev/null" for one in (2, 3))
        ),
        Setting.CIPHERS: Lines(
            commands=("openssl s_client -connect {target} -tls1_2 -cipher ECDHE+AESGCM </dev/null",)
        ),
        Setting.GROUPS: Lines(commands=("openssl s_client -connect {target} -groups X25519:P-256 </dev/null",)),
        Setting.HOST: Lines(commands=("openssl s_client -connect {target} -servername {host} </dev/null",)),
        Setting.IDENTITY: Lines(commands=("openssl x509 -in {caller_cert} -noout -subject -ext subjectAltName",)),
        Setting.TLS: Lines(commands=("openssl s_client -connect {target} -servername {host} </dev/null",)),
        Setting.SESSIONS: Lines(commands=("openssl s_client -connect {target} -reconnect -tls1_2 </dev/null",)),
        Setting.HEADER: Lines(commands=("curl --header 'X-Client-Subject: CN=nobody' --cacert {cacert} {url}",)),
    },
)
