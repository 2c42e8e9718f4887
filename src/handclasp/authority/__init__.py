"""The certificate authority: who gets which certificate, what is recorded of it, and how it is taken back."""
