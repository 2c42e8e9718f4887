"""The data plane: intents become Envoy resources, and Envoy is kept supplied with them.

``intent`` says what is wanted, ``compile`` turns it into resources (pure), ``snapshot`` holds one consistent set
of them, ``machine`` is the delta xDS protocol (pure), ``ads`` serves it, ``envoy`` keeps the child process, and
``accesslog`` reads what Envoy writes.
"""
