"""Faults on purpose: kill, freeze, sever, cut, starve; and the ledger of what was acknowledged."""
