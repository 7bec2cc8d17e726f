"""Videos: reading, faces, tracks of people, crops, and writing."""
