"""Tools: what the Makefile calls; never imported by the reference, the suite or the schemas."""
