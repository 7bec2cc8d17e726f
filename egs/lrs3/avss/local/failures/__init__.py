"""Fault experiments: a small separator, faults of an earlier implementation, and their effects."""
