"""Videos: reading, face detection, tracking of people, crops, and writing."""
