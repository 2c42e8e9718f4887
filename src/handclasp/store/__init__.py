"""The state on disk: the ledger in SQLite and the authority's key files. Implements the ports of authority/."""
