"""How long a restarted server is away is measured on real servers, which end in mid-run."""

from pathlib import Path

import pytest

from harness.measure.plans import QUICK
from harness.measure.records import load, save
from harness.measure.server_restarts import measure_server_restarts
from harness.provision import PostgresServer


@pytest.mark.slow
@pytest.mark.postgres
async def test_what_a_restart_takes(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Postgres has the run go on, and memory forgets it; each moment comes after the one before."""
    told: list[int] = []
    results = await measure_server_restarts(
        postgres_server, QUICK, on_progress=lambda done, total, _: told.append(total - done)
    )
    assert results.complete
    assert load(save(results, tmp_path)) == results
    assert told == [1, 0]
    forgot, remembered = results.restarts
    assert (forgot.subject, forgot.ended_by) == ("memory", "SIGTERM")
    assert (forgot.continued_s, forgot.done_again) == (None, None)
    assert (remembered.subject, remembered.ended_by) == ("postgres", "SIGKILL")
    for restart in results.restarts:
        assert restart.ended_s > 0
        assert 0 < restart.ready_s < restart.answered_s
        assert restart.steps // 3 <= restart.seen < restart.steps
    assert remembered.continued_s is not None
    assert remembered.continued_s > remembered.answered_s
    assert remembered.done_again is not None
    assert remembered.done_again <= 1, "with `sync`, only what was not yet stored"
