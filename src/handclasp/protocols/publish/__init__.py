"""What an authority publishes over plain HTTP: revocation lists, its certificates, OCSP."""
