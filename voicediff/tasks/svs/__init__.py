"""Singing voice synthesis."""
