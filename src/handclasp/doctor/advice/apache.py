"""Apache httpd with mod_ssl: a ``VirtualHost``."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Product, Setting

APACHE = Product(
    "apache",
    {
        Setting.TRUST: Lines(("SSLCACertificateFile {bundle}", "SSLVerifyClient require")),
        # A file of names, where there is one, is all that it names.
        Setting.NAMES: Lines(("SSLCACertificateFile {bundle}", "SSLCADNRequestFile {bundle}")),
        Setting.CERTIFICATE: Lines(("SSLCertificateFile {show}", "SSLCertificateKeyFile {key}")),
        Setting.DEPTH: Lines(("SSLVerifyDepth {depth}",)),
        Setting.CRL: Lines(("SSLCARevocationFile {crl}", "SSLCARevocationCheck chain")),
        Setting.REQUIRE: Lines(("SSLCACertificateFile {bundle}", "SSLVerifyClient require")),
        Setting.VERSIONS: Lines(("SSLProtocol -all +TLSv1.2 +TLSv1.3",)),
        Setting.CIPHERS: Lines(("SSLCipherSuite ECDHE+AESGCM:ECDHE+CHACHA20",)),
        Setting.GROUPS: Lines(("SSLOpenSSLConfCmd Groups X25519:P-256",)),
        Setting.HOST: Lines(("ServerName {host}",)),
        Setting.IDENTITY: Lines(
            ('<Location "/">', "    Require expr \"%{SSL_CLIENT_S_DN_CN} == '{common_name_bare}'\"", "</Location>"),
        ),
        Setting.TLS: Lines(("SSLEngine on", "SSLCertificateFile {cert}", "SSLCertificateKeyFile {key}")),
        Setting.LOG: Lines(("LogLevel warn ssl:info",), ("tail -n 20 /var/log/apache2/error.log",)),
        Setting.SESSIONS: Lines(
            ("SSLSessionTickets off", "# outside every VirtualHost", "SSLSessionCache none"),
        ),
        Setting.HEADER: Lines(("RequestHeader set X-Client-Subject expr=%{SSL_CLIENT_S_DN}",), ("a2enmod headers",)),
        Setting.STAPLE: Lines(
            ("SSLUseStapling on", "# outside every VirtualHost", "SSLStaplingCache shmcb:/var/run/ocsp(128000)"),
        ),
        Setting.CHECK: Lines(commands=("apachectl configtest",)),
        Setting.START: Lines(commands=("systemctl restart apache2",)),
    },
    after=("apachectl configtest && apachectl graceful",),
)
