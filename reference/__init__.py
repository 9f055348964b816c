"""The readable reference of DirectCall: a relay and a client."""
