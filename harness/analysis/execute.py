"""Execute notebooks headless, in a kernel that is this very interpreter."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.kernelspec import make_ipkernel_cmd
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from harness.errors import HarnessError, ResultsError

CELL_TIMEOUT_S = 600


class NotebookFailed(HarnessError, RuntimeError):
    """A notebook could not be executed to its end."""

    def __init__(self, message: str, document: Any) -> None:
        super().__init__(message)
        self.document = document
        """The notebook with the outputs that it had by then."""


class _ThisInterpreter(KernelSpecManager):
    """Knows one kernel, whatever is installed: the interpreter that runs."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        super().__init__()
        self._home = home
        self._environment = environment

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(
            # debuggers warn when the standard library's modules are frozen
            argv=make_ipkernel_cmd(python_arguments=["-Xfrozen_modules=off"]),
            display_name=kernel_name,
            language="python",
            env={"IPYTHONDIR": str(self._home), **self._environment},
        )


class _Channels(AsyncKernelClient):
    """Without the heartbeat: whether a kernel of ours lives its process tells.

    Its thread, told to stop before it runs, never does, and opens sockets until there are none.
    """

    def start_channels(
        self,
        shell: bool = True,
        iopub: bool = True,
        stdin: bool = True,
        hb: bool = False,
        control: bool = True,
    ) -> None:
        super().start_channels(shell, iopub, stdin, hb, control)


class _Client(NotebookClient):
    """Leaves signals to the caller: nbclient's handlers take Ctrl-C away from it, for good."""

    @contextlib.asynccontextmanager
    async def async_setup_kernel(self, **kwargs: Any) -> AsyncGenerator[None, None]:
        """Start the kernel; whoever made this client ends it.

        Raises:
            DeadKernelError: It did not start.
        """
        try:
            await self.async_start_new_kernel(**kwargs)
            await self.async_start_new_kernel_client()
        except RuntimeError as exc:
            raise DeadKernelError(str(exc)) from exc
        yield


async def execute(
    notebook: Path, *, environment: Mapping[str, str], folder: Path | None = None
) -> Any:
    """Run every cell and return the notebook with its outputs; the file stays as it is.

    Args:
        notebook: The file to run.
        environment: Variables of the kernel, beside those of this process.
        folder: The kernel's working directory; by default that of the notebook.

    Raises:
        NotebookFailed: A cell raised or took too long, or the kernel died.
        ResultsError: The file is no notebook.
    """
    try:
        document = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as exc:
        raise ResultsError(f"{notebook} cannot be read as a notebook: {exc}") from exc
    async with _client(document, environment, folder or notebook.parent) as client:
        try:
            await client.async_execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as exc:
            raise NotebookFailed(f"{notebook.name} stopped: {_reason(exc)}", document) from exc
    return document


def _reason(exc: Exception) -> str:
    """What a cell raised, without the traceback that stands in the notebook."""
    if isinstance(exc, CellExecutionError):
        return f"{exc.ename}: {exc.evalue}"
    return str(exc).strip().splitlines()[0]


@contextlib.asynccontextmanager
async def _client(
    document: Any, environment: Mapping[str, str], folder: Path
) -> AsyncGenerator[_Client, None]:
    """A client whose kernel is gone afterwards, also when the caller was cancelled."""
    with tempfile.TemporaryDirectory(prefix="harness-kernel-") as home:
        manager = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=_ThisInterpreter(Path(home), environment),
            connection_file=str(Path(home, "kernel.json")),
            client_factory=_Channels,
            transport="ipc",  # sockets in a folder of ours, no ports that others could reach
        )
        client = _Client(
            document,
            km=manager,
            timeout=CELL_TIMEOUT_S,
            coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}},
        )
        try:
            yield client
        finally:
            if client.kc is not None:
                client.kc.stop_channels()
            await asyncio.shield(manager.shutdown_kernel(now=True))
