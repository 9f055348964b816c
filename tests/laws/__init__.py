"""The laws of the house, each with the reader it needs in tools/."""
