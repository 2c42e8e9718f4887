"""The contract suite is in the package; its assertions should explain themselves like those of a test module."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("handclasp.testing.ledger_contract")
