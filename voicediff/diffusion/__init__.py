"""Diffusion: processes, objectives, samplers, and the model that combines them."""
