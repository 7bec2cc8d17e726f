"""Inference on whole songs and recordings of any length; the public Python interface."""
