"""Contract suites, and small real servers to test against. Beside the layers: imported by tests only."""
