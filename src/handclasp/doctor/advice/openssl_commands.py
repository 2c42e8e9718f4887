"""Commands that are the same for everybody: of OpenSSL, of Handclasp, of the system."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Draft
from handclasp.doctor.diagnosis import Side

WHO = "openssl x509 -in {cert} -noout -subject -issuer -dates -ext extendedKeyUsage,subjectAltName"
DATES = "openssl x509 -in {cert} -noout -subject -dates"
AGAIN = "openssl x509 -x509toreq -in {cert} -signkey {key} -copy_extensions copyall -out {request}"
# Beside the old one, which is of use until the new certificate is there.
NEW_KEY = "(umask 077; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {new_key})"
REQUEST_CLIENT = (
    "openssl req -new -key {key} -sha256 -subj /CN=caller -addext extendedKeyUsage=clientAuth -out {request}"
)
REQUEST_SERVER = (
    "openssl req -new -key {key} -sha256 -subj /CN={host} -addext subjectAltName={alt_name} "
    "-addext extendedKeyUsage=serverAuth -out {request}"
)
JOIN = "cat {cert} {intermediate} > {chain}"
LISTED = "openssl crl2pkcs7 -nocrl -certfile {chain} | openssl pkcs7 -print_certs -noout"
TRUSTED = "openssl crl2pkcs7 -nocrl -certfile {bundle} | openssl pkcs7 -print_certs -noout"
ADD = "cat {issuing} >> {bundle}"
KEY_OF_CERTIFICATE = "openssl x509 -in {cert} -noout -pubkey | openssl sha256"
KEY_OF_KEY = "openssl pkey -in {key} -pubout | openssl sha256"
NAMED = (
    "openssl s_client -connect {target} -servername {host} </dev/null 2>/dev/null "
    "| sed -n '/^Acceptable client certificate CA names/,/^Client Certificate Types/p'"
)
SHOWN = "openssl s_client -connect {target} -servername {host} -showcerts </dev/null"
CRL_FROM = "openssl x509 -in {caller_cert} -noout -ext crlDistributionPoints"
CRL_FETCH = "curl -fsS http://crl.example.com/ca.crl | openssl crl -out {crl}"
CRL_LOOK = "openssl crl -in {crl} -noout -lastupdate -nextupdate"
CLOCK = ("date -u", "timedatectl status", "timedatectl set-ntp true")
FROM_DER = "openssl x509 -in {file} -out {cert}"
NEW_REQUEST_CLIENT = REQUEST_CLIENT.replace("{key}", "{new_key}")
NEW_REQUEST_SERVER = REQUEST_SERVER.replace("{key}", "{new_key}")

RENEW_HERE = Draft(
    Side.AUTHORITY,
    "If Handclasp issued it, renew it with Handclasp: the same key and names, a new term.",
    ("handclasp client renew {caller}",),
    product="handclasp",
)
ISSUE_HERE = Draft(
    Side.AUTHORITY,
    "If the server trusts Handclasp's authority, have Handclasp issue a key, a certificate and the trust bundle.",
    ("handclasp client add {caller}",),
    product="handclasp",
)
