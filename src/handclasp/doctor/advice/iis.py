"""IIS on Windows: PowerShell as an administrator. TLS is Schannel's and http.sys's, not the site's."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Product, Setting

_SCHANNEL = "HKLM:\\SYSTEM\\CurrentControlSet\\Control\\SecurityProviders\\SCHANNEL"
_MACHINE = "Cert:\\LocalMachine"
_APPCMD = "& $env:windir\\system32\\inetsrv\\appcmd.exe"
_ACCESS = (
    f'{_APPCMD} set config "Default Web Site" -section:system.webServer/security/access '
    '/sslFlags:"Ssl, SslNegotiateCert, SslRequireCert" /commit:apphost'
)
_ROOT = f"Import-Certificate -FilePath {{issuing}} -CertStoreLocation {_MACHINE}\\Root"
_INTERMEDIATE = f"Import-Certificate -FilePath {{intermediate}} -CertStoreLocation {_MACHINE}\\CA"
_PFX = (
    f"$c = Import-PfxCertificate -FilePath {{p12}} -CertStoreLocation {_MACHINE}\\My "
    "-Password (Read-Host -AsSecureString)",
    "(Get-WebBinding -Name 'Default Web Site' -Protocol https).AddSslCertificate($c.Thumbprint, 'My')",
)


def _version(name: str, on: int) -> tuple[str, ...]:
    key = f"'{_SCHANNEL}\\Protocols\\{name}\\Server'"
    return (f"New-Item {key} -Force", f"Set-ItemProperty {key} -Name Enabled -Type DWord -Value {on}")


IIS = Product(
    "iis",
    {
        Setting.TRUST: Lines(commands=(_ROOT, _INTERMEDIATE)),
        Setting.NAMES: Lines(
            commands=(_ROOT, f"Set-ItemProperty {_SCHANNEL} -Name SendTrustedIssuerList -Type DWord -Value 0"),
            what="Have Windows trust the authority that issued the caller's certificate, and name none when it asks.",
        ),
        Setting.CERTIFICATE: Lines(commands=(_INTERMEDIATE, *_PFX)),
        Setting.DEPTH: Lines(
            commands=(_ROOT, _INTERMEDIATE),
            what="Windows has no limit of depth: give it the root and every intermediate of the callers.",
        ),
        Setting.CRL: Lines(
            commands=("certutil -addstore -f CA {crl}", "certutil -setreg chain\\ChainCacheResyncFiletime '@now'"),
        ),
        Setting.REQUIRE: Lines(commands=(_ACCESS,)),
        Setting.VERSIONS: Lines(
            commands=(
                *(line for name in ("TLS 1.2", "TLS 1.3") for line in _version(name, 1)),
                *(line for name in ("TLS 1.0", "TLS 1.1") for line in _version(name, 0)),
                "Restart-Computer",
            ),
        ),
        Setting.CIPHERS: Lines(
            commands=tuple(
                f"Enable-TlsCipherSuite -Name TLS_ECDHE_{kind}_WITH_AES_128_GCM_SHA256 -Position 0"
                for kind in ("ECDSA", "RSA")
            ),
        ),
        Setting.GROUPS: Lines(
            commands=("Enable-TlsEccCurve -Name NistP256 -Position 0", "Enable-TlsEccCurve -Name curve25519"),
        ),
        Setting.HOST: Lines(
            commands=(
                "New-WebBinding -Name 'Default Web Site' -Protocol https -Port {port} -HostHeader '{host}' -SslFlags 1",
            ),
        ),
        Setting.IDENTITY: Lines(
            (
                "<!-- web.config, in system.webServer/rewrite/rules; module URL Rewrite -->",
                '<rule name="callers" stopProcessing="true">',
                '  <match url=".*" />',
                '  <conditions><add input="{CERT_SUBJECT}" pattern="CN={common_name_pattern}(,|$)" negate="true" />'
                "</conditions>",
                '  <action type="CustomResponse" statusCode="403" />',
                "</rule>",
            ),
        ),
        Setting.TLS: Lines(
            commands=("New-WebBinding -Name 'Default Web Site' -Protocol https -Port {port}", *_PFX),
        ),
        Setting.LOG: Lines(
            commands=(
                f"Set-ItemProperty {_SCHANNEL} -Name EventLogging -Type DWord -Value 7",
                "Get-WinEvent -FilterHashtable @{LogName='System'; ProviderName='Schannel'} -MaxEvents 20",
            ),
        ),
        Setting.SESSIONS: Lines(
            commands=(f"Set-ItemProperty {_SCHANNEL} -Name ServerCacheTime -Type DWord -Value 0",),
        ),
        Setting.HEADER: Lines(
            (
                "<!-- web.config, in a rule of system.webServer/rewrite/rules; module URL Rewrite -->",
                '<serverVariables><set name="HTTP_X_CLIENT_SUBJECT" value="{CERT_SUBJECT}" /></serverVariables>',
            ),
        ),
        Setting.STAPLE: Lines(
            commands=("certutil -urlcache ocsp delete", "certutil -setreg chain\\ChainCacheResyncFiletime '@now'"),
            what="Windows fetches and staples OCSP responses itself: let it reach the responder, and drop the old one.",
        ),
        Setting.CHECK: Lines(commands=(f'{_APPCMD} list config "Default Web Site"',)),
        Setting.START: Lines(commands=("iisreset",)),
    },
    shell=False,
)
