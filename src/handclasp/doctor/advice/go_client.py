"""Go: fields of the client's ``tls.Config``, which goes into ``http.Transport``."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Program, Use

_TRUST = (
    "authorities, err := os.ReadFile({cacert})",
    "if err != nil { log.Fatal(err) }",
    "pool := x509.NewCertPool()",
    'if !pool.AppendCertsFromPEM(authorities) { log.Fatal("no certificate in the file of authorities") }',
    "config.RootCAs = pool",
)
_PRESENT = (
    "shown, err := tls.LoadX509KeyPair({show}, {key})",
    "if err != nil { log.Fatal(err) }",
    "config.Certificates = []tls.Certificate{shown}",
)
_CLIENT = "client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}"
_CALL = 'response, err := client.Get("{url}")'

GO = Program(
    "go",
    {
        Use.PRESENT: Lines((*_PRESENT, _CLIENT)),
        Use.TRUST: Lines((*_TRUST, _CLIENT)),
        Use.VERSIONS: Lines(("config.MinVersion = tls.VersionTLS12", "config.MaxVersion = tls.VersionTLS13")),
        Use.CIPHERS: Lines(
            (
                "config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "
                "tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}",
            ),
        ),
        Use.GROUPS: Lines(("config.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}",)),
        Use.NAME: Lines(('config.ServerName = "api.example.com"',)),
        Use.HTTPS: Lines((_CLIENT, _CALL)),
        Use.PASSPHRASE: Lines(
            _PRESENT,
            ("(umask 077; openssl pkey -in {key} -passin file:passphrase.txt -out client-open.key)",),
            "Go opens no encrypted key: write one without a passphrase, for its owner alone, and name that.",
        ),
        Use.DIRECT: Lines(
            ("client := &http.Client{Transport: &http.Transport{Proxy: nil, TLSClientConfig: config}}",),
        ),
    },
)
