"""Lets pytest judge a relay: `pytest --pyargs conformance --target udp:HOST:PORT`."""

from __future__ import annotations

from conformance.plugin import (
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_collectstart,
    pytest_configure,
    pytest_pyfunc_call,
    pytest_sessionfinish,
    pytest_unconfigure,
    stage,
)

__all__ = [
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_collectstart",
    "pytest_configure",
    "pytest_pyfunc_call",
    "pytest_sessionfinish",
    "pytest_unconfigure",
    "stage",
]
