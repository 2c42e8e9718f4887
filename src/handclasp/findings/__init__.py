"""The words in which everything is reported: codes, findings and refusals. Pure; imports nothing of ours."""

from handclasp.findings.catalogue import CATALOGUE
from handclasp.findings.codes import Code, Entry
from handclasp.findings.finding import Finding, InvalidSetting, Refused

__all__ = ["CATALOGUE", "Code", "Entry", "Finding", "InvalidSetting", "Refused"]
