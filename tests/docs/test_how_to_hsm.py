"""docs/how-to/hsm.md does what it says, with SoftHSM2."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from handclasp.testing import softhsm
from handclasp.testing.walkthrough import follow

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "hsm.md"


@pytest.mark.e2e
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    """Every block runs, and what it prints is as shown; the path of SoftHSM2's library is this machine's."""
    text = PAGE.read_text().replace("/usr/lib/softhsm/libsofthsm2.so", str(softhsm.module()))
    left_out = {"HANDCLASP_DIR", "HANDCLASP_CONFIG", "HANDCLASP_CA_PASSPHRASE", "HANDCLASP_HSM_PIN", "SOFTHSM2_CONF"}
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "HOME": str(tmp_path)}
    steps = follow(text, tmp_path, environment)
    assert [(step.block, step.shown, step.printed) for step in steps if not step.fits] == []
    assert len(steps) == text.count("```sh\n")
