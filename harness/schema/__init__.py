"""The tables of a harness database: their names, and the migrations that make them."""

SCHEMA = "langgraph_server"

RUNTIME_TABLES = ("assistants", "threads", "thread_states", "runs", "store_items", "crons")
"""The tables of `SCHEMA` that hold the five resources."""

CHECKPOINT_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
"""Those of LangGraph's tables in which the rows of threads lie."""

LANGGRAPH_TABLES = (
    "checkpoint_migrations",
    *CHECKPOINT_TABLES,
    "store_migrations",
    "store",
    "vector_migrations",
    "store_vectors",
)
"""What LangGraph's `setup()` makes in the search path's first schema; the last two only with an
index configured. From `MIGRATIONS` and `setup` of langgraph-checkpoint-postgres 3.2.0."""

__all__ = ["CHECKPOINT_TABLES", "LANGGRAPH_TABLES", "RUNTIME_TABLES", "SCHEMA"]
