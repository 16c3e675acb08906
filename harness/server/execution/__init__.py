"""Carries out runs: claims them from storage's queue, executes their graphs, publishes events."""
