"""The persistence test bench for LangGraph agent servers."""
