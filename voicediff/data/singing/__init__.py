"""Data of singing: corpora, data folders, features, the dataset."""
