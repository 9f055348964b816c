"""The conformance suite: judges implementations from outside, by the wire (spec/, schemas/)."""
