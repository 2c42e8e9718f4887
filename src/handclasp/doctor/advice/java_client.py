"""Java: options of the JVM, and stores that keytool and OpenSSL write. Passphrases are asked for, or in files."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Program, Use

_STORE = ("openssl pkcs12 -export -in {show} -inkey {key} -out {p12} -passout file:store-passphrase.txt",)
_IMPORT = (
    "keytool -importcert -noprompt -alias server-ca -file {cacert} -keystore truststore.p12 -storetype PKCS12 "
    "-storepass:file store-passphrase.txt",
)
_TRUSTED = "-Djavax.net.ssl.trustStore=truststore.p12"
_PRESENTED = "-Djavax.net.ssl.keyStore={p12} -Djavax.net.ssl.keyStoreType=PKCS12"
_WORD = '-Djavax.net.ssl.keyStorePassword="$(cat store-passphrase.txt)"'
_RUN = f"java {_PRESENTED} {_WORD} {_TRUSTED}"

JAVA = Program(
    "java",
    {
        Use.PRESENT: Lines(commands=(*_STORE, f"{_RUN} -jar client.jar")),
        Use.TRUST: Lines(commands=(*_IMPORT, f"java {_TRUSTED} -jar client.jar")),
        Use.VERSIONS: Lines(commands=(f"{_RUN} -Djdk.tls.client.protocols=TLSv1.2,TLSv1.3 -jar client.jar",)),
        Use.CIPHERS: Lines(
            commands=(
                f"{_RUN} -Djdk.tls.client.cipherSuites=TLS_AES_128_GCM_SHA256,"
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 -jar client.jar",
            )
        ),
        Use.GROUPS: Lines(commands=(f"{_RUN} -Djdk.tls.namedGroups=x25519,secp256r1 -jar client.jar",)),
        Use.NAME: Lines(
            (
                "SSLParameters parameters = socket.getSSLParameters();",
                'parameters.setServerNames(List.of(new SNIHostName("api.example.com")));',
                'parameters.setEndpointIdentificationAlgorithm("HTTPS");',
                "socket.setSSLParameters(parameters);",
            ),
        ),
        Use.HTTPS: Lines(('HttpRequest.newBuilder(URI.create("{url}")).build();',)),
        Use.PASSPHRASE: Lines(
            commands=(
                "openssl pkcs12 -export -in {show} -inkey {key} -passin file:passphrase.txt -out {p12} "
                "-passout file:store-passphrase.txt",
                f"{_RUN} -jar client.jar",
            )
        ),
        Use.DIRECT: Lines(commands=(f"{_RUN} '-Dhttp.nonProxyHosts={{host}}' -jar client.jar",)),
    },
)
