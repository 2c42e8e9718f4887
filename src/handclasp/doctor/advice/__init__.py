"""What to do, in the words of the product at hand: commands and lines of configuration, code by code."""

from __future__ import annotations

from handclasp.doctor.advice.fixing import CLIENTS, SERVERS, fixes

__all__ = ["CLIENTS", "SERVERS", "fixes"]
