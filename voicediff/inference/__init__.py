"""Whole songs and videos of any length."""
