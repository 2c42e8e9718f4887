"""Java: Spring Boot's ``application.properties``, which knows PEM files since 2.7; the JDK's own settings elsewhere."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Product, Setting

_TRUST = Lines(("server.ssl.trust-certificate={bundle}", "server.ssl.client-auth=need"))

JAVA_SERVER = Product(
    "java",
    {
        Setting.TRUST: _TRUST,
        Setting.NAMES: _TRUST,  # it names those of its trust store
        Setting.CERTIFICATE: Lines(("server.ssl.certificate={show}", "server.ssl.certificate-private-key={key}")),
        Setting.DEPTH: Lines(
            ("-Djdk.tls.maxClientCertificateChainLength=10",),
            (),
            "Java takes client chains of up to 8 or 10 certificates; allow more when the server is started.",
        ),
        Setting.CRL: Lines(
            ("-Dcom.sun.net.ssl.checkRevocation=true", "-Dcom.sun.security.enableCRLDP=true"),
            (),
            "Have Java fetch the lists that the certificates name, with these options when the server is started; "
            "the list there must be current.",
        ),
        Setting.REQUIRE: _TRUST,
        Setting.VERSIONS: Lines(("server.ssl.enabled-protocols=TLSv1.2,TLSv1.3",)),
        Setting.CIPHERS: Lines(
            (
                "server.ssl.ciphers=TLS_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,"
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            ),
        ),
        Setting.GROUPS: Lines(
            ("-Djdk.tls.namedGroups=x25519,secp256r1",),
            (),
            "Have the server allow the groups X25519 and P-256, with this option when it is started.",
        ),
        Setting.HOST: Lines(
            ("server.ssl.certificate={cert}", "server.ssl.certificate-private-key={key}"),
            (),
            "Serve a certificate that has the name {host}.",
        ),
        Setting.IDENTITY: Lines(
            (
                'http.x509(x -> x.subjectPrincipalRegex("CN=(.*?)(?:,|$)"))',
                '    .authorizeHttpRequests(r -> r.anyRequest().hasAuthority("{common_name_bare}"))',
                "    // and a UserDetailsService that gives each caller its own name as authority",
            ),
        ),
        Setting.TLS: Lines(
            ("server.port={port}", "server.ssl.certificate={cert}", "server.ssl.certificate-private-key={key}"),
        ),
        Setting.LOG: Lines(
            ("-Djavax.net.debug=ssl:handshake",),
            (),
            "Have Java log its handshakes, with this option when the server is started, and call it once more.",
        ),
        Setting.SESSIONS: Lines(
            ("-Djdk.tls.server.enableSessionTicketExtension=false", "-Djavax.net.ssl.sessionCacheSize=1"),
            (),
            "Turn tickets off and keep one session at most, with these options when the server is started.",
        ),
        Setting.HEADER: Lines(
            (
                "X509Certificate[] caller =",
                '    (X509Certificate[]) request.getAttribute("jakarta.servlet.request.X509Certificate");',
            ),
            (),
            "Take the caller's identity from the connection, and from no header.",
        ),
        Setting.STAPLE: Lines(
            ("-Djdk.tls.server.enableStatusRequestExtension=true",),
            (),
            "Have Java fetch and staple the response itself, with this option when the server is started.",
        ),
        Setting.CHECK: Lines(commands=("java -Djavax.net.debug=ssl:trustmanager -jar server.jar",)),
        Setting.START: Lines(commands=("systemctl restart server",)),
    },
)
