"""OCSP (RFC 6960, RFC 9654): whether a certificate is still good, for those who ask one by one."""
