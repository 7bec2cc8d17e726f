"""Audio-visual speech separation."""
