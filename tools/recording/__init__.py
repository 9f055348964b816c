"""Recordings of real runs, as they are committed and published: calls, a race, the demo, verdicts."""
