"""Checks of a client, one file a chapter."""
