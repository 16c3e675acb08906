"""What the commands of `harness` do; `harness.cli` parses, calls one of these, and prints."""
