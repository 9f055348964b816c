"""The core: pure machines; every decision of the protocol is taken here, and nothing is done."""
