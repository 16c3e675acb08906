"""Threads with the state that their graphs' checkpoints hold."""
