"""The checks, one file a chapter of spec/."""
