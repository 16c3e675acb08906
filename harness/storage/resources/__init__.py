"""The public face of every local backend: checks arguments, fills defaults in, asks an engine."""
