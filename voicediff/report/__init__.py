"""Reports on experiments: tables, charts, and one HTML page with sounds."""
