"""Data of separation: corpora, clips, mixtures, the dataset."""
