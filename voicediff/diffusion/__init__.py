"""The diffusion core: processes, objectives, samplers, and the model that joins them."""
