"""Test files that ask a subject, run by `harness verify`."""
