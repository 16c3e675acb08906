"""Storage of the five resources, in memory, in Postgres, and over the wire."""
