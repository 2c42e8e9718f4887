"""Names, keys, certificates and revocation lists. Pure: no I/O, no clock, no serial numbers of its own.

The way of a certificate through these modules: ``request`` (what was asked and proved), ``profile`` (what is
allowed), ``issue.prepare`` (build, lint), a signature from elsewhere, ``issue.assemble`` (verify).
"""
