"""Verdicts on subjects: what they keep, what they break, and what was not asked."""
