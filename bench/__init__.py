"""Measurements: `python -m bench` runs them all, `python -m bench NAME` one. What came out stands in README.md."""
