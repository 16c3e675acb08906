"""Who may do what: LangGraph's `Auth` handlers, run for each call of each resource."""
