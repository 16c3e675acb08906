"""An agent server that speaks LangGraph's API: Robyn, the storage queue, and our persistence."""
