"""Sanity checks for a trained model; `voicediff doctor` runs them."""
