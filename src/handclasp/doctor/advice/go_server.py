"""Go: fields of the server's ``tls.Config``."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Product, Setting

_POOL = (
    "authorities, err := os.ReadFile({bundle})",
    "if err != nil { log.Fatal(err) }",
    "pool := x509.NewCertPool()",
    'if !pool.AppendCertsFromPEM(authorities) { log.Fatal("no certificate in the file of authorities") }',
    "config.ClientCAs = pool",
)
_TRUST = Lines((*_POOL, "config.ClientAuth = tls.RequireAndVerifyClientCert"))
_SERVED = (
    "served, err := tls.LoadX509KeyPair({show}, {key})",
    "if err != nil { log.Fatal(err) }",
    "config.Certificates = []tls.Certificate{served}",
)

GO_SERVER = Product(
    "go",
    {
        Setting.TRUST: _TRUST,
        Setting.NAMES: _TRUST,  # it names those of ClientCAs
        Setting.CERTIFICATE: Lines(_SERVED),
        Setting.DEPTH: Lines(
            _TRUST.configuration,
            ("cat {intermediate} {issuing} >> {bundle}",),
            "Go has no limit of depth: put the root and every intermediate of the callers into the pool.",
        ),
        Setting.CRL: Lines(
            (
                "config.VerifyConnection = func(state tls.ConnectionState) error {",
                "    data, err := os.ReadFile({crl})",
                "    if err != nil { return err }",
                "    block, _ := pem.Decode(data)",
                '    if block == nil { return errors.New("the revocation list is not PEM") }',
                "    list, err := x509.ParseRevocationList(block.Bytes)",
                "    if err != nil { return err }",
                "    if err := list.CheckSignatureFrom(state.VerifiedChains[0][1]); err != nil { return err }",
                '    if time.Now().After(list.NextUpdate) { return errors.New("the revocation list has expired") }',
                "    for _, one := range list.RevokedCertificates {",
                "        if one.SerialNumber.Cmp(state.PeerCertificates[0].SerialNumber) == 0 {",
                '            return errors.New("the client certificate is revoked")',
                "        }",
                "    }",
                "    return nil",
                "}",
            ),
        ),
        Setting.REQUIRE: _TRUST,
        Setting.VERSIONS: Lines(("config.MinVersion = tls.VersionTLS12", "config.MaxVersion = tls.VersionTLS13")),
        Setting.CIPHERS: Lines(
            (
                "config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "
                "tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}",
            ),
        ),
        Setting.GROUPS: Lines(("config.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}",)),
        Setting.HOST: Lines(_SERVED, (), "Serve a certificate that has the name {host}."),
        Setting.IDENTITY: Lines(
            (
                "config.VerifyConnection = func(state tls.ConnectionState) error {",
                "    if state.PeerCertificates[0].Subject.CommonName != {common_name} {",
                '        return errors.New("this caller is not let in")',
                "    }",
                "    return nil",
                "}",
            ),
        ),
        Setting.TLS: Lines(("log.Fatal(server.ListenAndServeTLS({cert}, {key}))",)),
        Setting.LOG: Lines(('server.ErrorLog = log.New(os.Stderr, "tls ", log.LstdFlags)',)),
        Setting.SESSIONS: Lines(("config.SessionTicketsDisabled = true",)),
        Setting.HEADER: Lines(
            ('request.Header.Set("X-Client-Subject", request.TLS.PeerCertificates[0].Subject.String())',),
        ),
        Setting.STAPLE: Lines(
            (
                'staple, err := os.ReadFile("staple.der")',
                "if err != nil { log.Fatal(err) }",
                "config.Certificates[0].OCSPStaple = staple",
            ),
        ),
        Setting.CHECK: Lines(commands=("go vet ./...",)),
        Setting.START: Lines(commands=("go run .",)),
    },
)
