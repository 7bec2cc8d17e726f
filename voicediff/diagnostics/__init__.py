"""Checks: what a trained model must pass before it is believed; `voicediff doctor` runs them."""
