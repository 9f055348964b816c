"""Scenarios: deployed peers and the laboratory, each scene with programs of its own; a step of the gate."""
