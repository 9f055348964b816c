"""QUIC (spec/transport.md): everything that knows aioquic, except for the events that endpoint.py reads."""

import logging

# The stack warns about every peer that breaks a rule, which would let any peer fill our log; what
# ends a connection is told to its handler.
logging.getLogger("quic").setLevel(logging.CRITICAL)
