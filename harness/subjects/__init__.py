"""What can be put on the bench: how it is found, and how it is opened."""
