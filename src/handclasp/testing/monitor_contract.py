"""What every MonitorStore must do, as a suite: subclass it in a test module and say how to open one.

class TestSqlMonitors(MonitorContract):
    def open(self, directory): ...
"""

from __future__ import annotations

from handclasp.testing.monitor_contract_alerts import AlertContract
from handclasp.testing.monitor_contract_checks import CheckContract
from handclasp.testing.monitor_contract_definitions import DefinitionContract
from handclasp.testing.monitor_contract_history import HistoryContract


class MonitorContract(DefinitionContract, CheckContract, HistoryContract, AlertContract):
    """The whole suite."""
