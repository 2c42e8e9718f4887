"""The store of monitoring in SQL, on SQLite and PostgreSQL: one class, its methods by topic in the modules beside."""

from __future__ import annotations

from handclasp.store.monitors_alerts import Alerts
from handclasp.store.monitors_checks import Checks
from handclasp.store.monitors_definitions import Definitions
from handclasp.store.monitors_history import History
from handclasp.store.monitors_prune import Pruning


class SqlMonitors(Definitions, Checks, History, Alerts, Pruning):
    """A MonitorStore in a database.

    On PostgreSQL any number of processes use it at once. Leases are by the server's clock there, and what is due is by
    the clock of whoever asks (monitors_postgres.py). A SQLite file has one process (D10), whose clock is used for both.
    """
