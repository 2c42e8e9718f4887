"""Captures of a network (pcap, pcapng): the hellos, the names of authorities and the alerts in them."""

from __future__ import annotations

from handclasp.doctor.capture.examine import examine

__all__ = ["examine"]
