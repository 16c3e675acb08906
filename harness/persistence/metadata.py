"""What checkpoints' metadata say of the config that a graph was called with."""

from typing import Any, Final

from langchain_core.runnables import RunnableConfig

_ADDRESS: Final = ("thread_id", "checkpoint_ns", "checkpoint_id")
_NAMES: Final = frozenset({"run_id", "assistant_id", "graph_id"})
"""Names that `configurable` and metadata both hold, and that are nobody's secret."""


def without_configurable(config: RunnableConfig) -> RunnableConfig:
    """Return a config from which metadata take up nothing that its `configurable` says.

    LangGraph's savers put each text and number of it into every checkpoint's metadata. LangChain
    copies some into the config's own metadata on the way to a subgraph, and these go too.
    """
    configurable: dict[str, Any] = config["configurable"]
    metadata = {
        name: value
        for name, value in (config.get("metadata") or {}).items()
        if name in _NAMES or name not in configurable or configurable[name] != value
    }
    address = {name: value for name, value in configurable.items() if name in _ADDRESS}
    return {**config, "configurable": address, "metadata": metadata}
