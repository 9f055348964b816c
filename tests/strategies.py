"""Strategies: what tests draw from, the suite's walker over the views of the schemas."""

from __future__ import annotations

from conformance.generate import Fault, faults, json_values, one_fault, valid

__all__ = ["Fault", "faults", "json_values", "one_fault", "valid"]
