"""The lab of failures: a small separator, the faults that ruined an earlier one, and their detectors."""
