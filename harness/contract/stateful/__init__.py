"""Random histories: what `harness.contract.machine` is made of, a module a resource."""
