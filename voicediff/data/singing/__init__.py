"""Data of singing: corpora, data folders, features, datasets."""
