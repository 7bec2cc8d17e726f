"""Building blocks shared by networks: conditions, masked layers, attention, NCSN++."""
