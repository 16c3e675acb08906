"""Records become frames, statistics, figures and a report."""
