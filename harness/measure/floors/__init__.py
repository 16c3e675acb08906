"""The physical floors: the same SQL through bare psycopg. Nothing here knows of storage."""
