"""What to do where the network, the protocol, the clock or a file is the cause."""

from __future__ import annotations

from handclasp.doctor.advice import openssl_commands as run
from handclasp.doctor.advice.vocabulary import Draft, Setting, Use
from handclasp.doctor.diagnosis import Side
from handclasp.findings import Code

_LOG = Draft(Side.SERVER, "Have the server log its reason, and call it once more.", setting=Setting.LOG)
_BARE_HELLO = Draft(
    Side.NETWORK,
    "See whether something between drops large or unknown greetings: this one is small.",
    ("openssl s_client -connect {target} -servername {host} -tls1_2 -groups X25519 </dev/null",),
)
_WAY = Draft(
    Side.NETWORK,
    "See where the way ends, and let port {port} through the firewalls on it.",
    ("ip route get $(getent ahosts {host} | awk '{print $1; exit}')", "nc -vz -w 5 {host} {port}"),
)


def causes() -> dict[Code, tuple[Draft, ...]]:
    """Code by code."""
    c, client, server, network = Code, Side.CLIENT, Side.SERVER, Side.NETWORK
    return {
        c.NET_DNS_FAILURE: (
            Draft(
                client,
                "Correct the name, or have it published in the DNS that the client asks.",
                ("getent ahosts {host}", "resolvectl query {host}"),
            ),
        ),
        c.NET_CONNECTION_REFUSED: (
            Draft(
                server,
                "Start the server, or correct the port: nothing listens on {port}.",
                ("ss -ltnp 'sport = :{port}'",),
                Setting.START,
            ),
        ),
        c.NET_UNREACHABLE: (_WAY,),
        c.NET_CONNECT_TIMEOUT: (_WAY,),
        c.NET_HANDSHAKE_TIMEOUT: (_BARE_HELLO, _LOG),
        c.NET_CLOSED_DURING_HANDSHAKE: (_LOG, _BARE_HELLO),
        c.NET_RESET_DURING_HANDSHAKE: (_LOG, _BARE_HELLO),
        c.NET_PROXY_REFUSED: (
            Draft(client, "Call the server without the proxy.", use=Use.DIRECT),
            Draft(
                network,
                "Else have the proxy allow CONNECT to {target}.",
                ("curl -v --head {url}",),
            ),
        ),
        c.PROTO_PLAIN_HTTP_TO_TLS: (Draft(client, "Call the port with https.", use=Use.HTTPS),),
        c.PROTO_TLS_TO_PLAIN: (
            Draft(server, "Turn TLS on for port {port}.", setting=Setting.TLS),
            Draft(client, "Else call the port on which the server speaks TLS.", use=Use.HTTPS),
        ),
        c.PROTO_NOT_TLS: (
            Draft(
                client,
                "Call the port on which the server speaks TLS; this shows what answers on this one.",
                ("nc -w 3 {host} {port} </dev/null | head -c 200",),
                use=Use.HTTPS,
            ),
        ),
        c.PROTO_STARTTLS_REFUSED: (
            Draft(
                server,
                "Turn STARTTLS on at the server, and see that it announces it.",
                ("openssl s_client -connect {target} -starttls {starttls} </dev/null",),
            ),
        ),
        c.PROTO_HTTP_MALFORMED: (
            Draft(
                server,
                "Look at what the server answers, and correct it there or in what stands before it.",
                ("curl -v --http1.1 {url}",),
                Setting.LOG,
            ),
        ),
        c.TLS_ALERT: (_LOG,),
        c.TLS_MALFORMED: (
            Draft(
                network,
                "Look at the octets: what answers is not TLS as the standard has it, or something between changes it.",
                ("openssl s_client -connect {target} -servername {host} -msg </dev/null",),
            ),
            _LOG,
        ),
        c.UNKNOWN: (_LOG,),
        c.CLOCK_SKEW: (
            Draft(server, "Set the clock of the machine that is wrong, and keep it set.", run.CLOCK),
            Draft(client, "Compare it with the client's, on the client.", run.CLOCK),
        ),
        c.CREDENTIAL_EXPIRED: (
            Draft(
                client,
                "Renew the certificate, and put it in the place of the one that is kept.",
                (run.AGAIN, "handclasp credential add {target} --cert {cert} --key {key} --replace"),
                product="handclasp",
            ),
        ),
        c.CREDENTIAL_UNKNOWN: (
            Draft(
                client,
                "Keep a credential for this host, or name one that is kept.",
                ("handclasp credential list", "handclasp credential add {target} --cert {cert} --key {key}"),
                product="handclasp",
            ),
        ),
        c.CREDENTIAL_UNUSABLE: (
            Draft(
                client,
                "Keep it anew from files whose certificate and key belong together.",
                (
                    run.KEY_OF_CERTIFICATE,
                    run.KEY_OF_KEY,
                    "handclasp credential add {target} --cert {cert} --key {key} --replace",
                ),
                product="handclasp",
            ),
        ),
        c.CREDENTIAL_WITHHELD: (
            Draft(
                client,
                "Name the authority that proves the server, so that the credential is shown to it.",
                ("handclasp credential add {target} --cert {cert} --key {key} --cacert {cacert} --replace",),
                product="handclasp",
            ),
        ),
        c.CREDENTIAL_REFUSED: (
            Draft(
                client,
                "Keep a certificate of an authority that the server names.",
                (run.NAMED, "handclasp credential add {target} --cert {cert} --key {key} --replace"),
                product="handclasp",
            ),
        ),
    }
