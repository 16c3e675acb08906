"""Results files: whole or absent, readable across versions, never pooled across environments."""

import dataclasses
import errno
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ResultsError
from harness.measure.records import (
    FORMAT,
    VERSION,
    ContractOutcome,
    Environment,
    PoolCell,
    PostgresSettings,
    Results,
    Timing,
    load,
    newest,
    pooled,
    save,
)

DATA = Path(__file__).parent.parent / "data"

ENVIRONMENT = Environment(
    python="3.11.9",
    platform="Linux-6.1-x86_64",
    cpu="A Processor",
    cores=2,
    memory_bytes=8 * 2**30,
    libraries={"psycopg": "3.3.1", "langgraph": "1.2.0"},
    postgres=PostgresSettings(
        version="18.4",
        provisioner="embedded",
        location="ext4 disk",
        fsync="on",
        synchronous_commit="on",
        shared_buffers="128MB",
        max_connections="100",
    ),
)


def timing(subject: str, samples_s: list[float], order: list[int]) -> Timing:
    """One subject's 100 creates."""
    return Timing(
        workload="create_sequential",
        resource="threads",
        subject=subject,
        operations=100,
        samples_s=samples_s,
        order=order,
    )


RESULTS = Results(
    kind="timings",
    made_at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    environment=ENVIRONMENT,
    timings=[timing("postgres", [0.125, 0.25], [0, 3]), timing("floor", [0.1, 0.2], [1, 2])],
    pool=[
        PoolCell(
            pool_size=5,
            callers=20,
            mix="mixed",
            subject="postgres",
            duration_s=2.0,
            operations=1_000,
            busy_share=0.75,
            peak_in_use=5,
            wait_ms=[0.5, 1.5],
            throughput_per_s=500.0,
            timeline=[(0.0, 0, 0), (0.5, 5, 15), (2.0, 0, 0)],
        )
    ],
    contract=[
        ContractOutcome(
            backend="memory",
            contract="Threads",
            test="test_gone_is_gone",
            invariants=[38],
            outcome="failed",
            message="a run was left",
            duration_s=0.01,
        )
    ],
    complete=False,
)


def test_round_trip(tmp_path: Path) -> None:
    """What is saved is loaded, every field of it."""
    assert load(save(RESULTS, tmp_path / "made" / "on" / "demand")) == RESULTS


def test_version_1_loads() -> None:
    """A file that version 1 wrote can be read for ever."""
    assert load(DATA / "results-version-1.json") == RESULTS


def test_newer_version_is_refused(tmp_path: Path) -> None:
    """A file of a later version is refused in one line that says what to do."""
    path = edited(tmp_path, version=VERSION + 1)
    with pytest.raises(ResultsError, match=rf"is of version {VERSION + 1}.*upgrade it") as caught:
        load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    """Wherever a file ends too early, it is broken and says so."""
    text = save(RESULTS, tmp_path).read_text()
    broken = tmp_path / "broken.json"
    broken.write_text(text[: int(len(text) * share)])
    with pytest.raises(ResultsError, match="is broken"):
        load(broken)


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"format": "asv"}', b"12"])
def test_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """JSON of another tool is not taken for results."""
    path = tmp_path / "foreign.json"
    path.write_bytes(content)
    with pytest.raises(ResultsError, match="no results file of harness"):
        load(path)


def test_binary_file_is_refused(tmp_path: Path) -> None:
    """What is no text is broken, not a crash."""
    path = tmp_path / "foreign.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ResultsError, match="is broken"):
        load(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "weather"),
        ("made_at", "yesterday"),
        ("version", "1"),
        ("version", True),
        ("version", 0),
        ("timings", {}),
        ("timings", [{}]),
        ("environment", None),
        ("complete", 1),
        ("surprise", 1),
        ("pool", [[1]]),
    ],
)
def test_wrong_types_are_refused(tmp_path: Path, field: str, value: Any) -> None:
    """A field of the wrong type, a missing one and an unknown one are found."""
    with pytest.raises(ResultsError, match="is broken"):
        load(edited(tmp_path, **{field: value}))


def test_missing_file() -> None:
    """A path that leads nowhere gets one clear line."""
    with pytest.raises(ResultsError, match="cannot read"):
        load(DATA / "nowhere.json")


def test_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fills up, the error says so and no part of a file stays."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResultsError, match="No space left on device; free some space"):
        save(RESULTS, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    """A folder that cannot be made gets one clear line."""
    blocker = tmp_path / "results"
    blocker.touch()
    with pytest.raises(ResultsError, match=r"cannot write .*choose another folder"):
        save(RESULTS, blocker)


def test_newest(tmp_path: Path) -> None:
    """The newest file is the one made last, of that kind only."""
    assert newest(tmp_path, "timings") is None
    older = dataclasses.replace(RESULTS, made_at=RESULTS.made_at - timedelta(days=1))
    path = save(RESULTS, tmp_path)
    save(older, tmp_path)
    save(dataclasses.replace(RESULTS, kind="pool"), tmp_path)
    assert newest(tmp_path, "timings") == path


def test_pooling_joins_samples_and_keeps_pairs() -> None:
    """Samples follow each other, and the later measurement counts its order on."""
    both = pooled([RESULTS, dataclasses.replace(RESULTS, complete=True)])
    assert both.timings == [
        timing("postgres", [0.125, 0.25, 0.125, 0.25], [0, 3, 4, 7]),
        timing("floor", [0.1, 0.2, 0.1, 0.2], [1, 2, 5, 6]),
    ]
    assert len(both.pool) == len(both.contract) == 2
    assert not both.complete


def test_pooling_unlike_environments_is_refused() -> None:
    """Results of another CPU and of fsync off are not joined, and the error names both."""
    assert ENVIRONMENT.postgres is not None
    other = dataclasses.replace(
        RESULTS,
        environment=dataclasses.replace(
            ENVIRONMENT,
            cpu="Another",
            postgres=dataclasses.replace(ENVIRONMENT.postgres, fsync="off"),
        ),
    )
    with pytest.raises(ResultsError, match="cpu is A Processor in one and Another in another") as e:
        pooled([RESULTS, other])
    assert "postgres fsync is on in one and off in another" in str(e.value)


def test_every_fact_of_the_environment_counts() -> None:
    """Each field of an environment, changed alone, changes its fingerprint."""
    assert ENVIRONMENT.postgres is not None
    changes: dict[str, Any] = {
        "cores": 4,
        "memory_bytes": 2**40,
        "libraries": {"psycopg": "3.3.2"},
        "postgres": None,
    }
    for field in dataclasses.fields(ENVIRONMENT):
        other = dataclasses.replace(ENVIRONMENT, **{field.name: changes.get(field.name, "other")})
        assert other.fingerprint() != ENVIRONMENT.fingerprint(), field.name
    for field in dataclasses.fields(PostgresSettings):
        postgres = dataclasses.replace(ENVIRONMENT.postgres, **{field.name: "other"})
        other = dataclasses.replace(ENVIRONMENT, postgres=postgres)
        assert other.fingerprint() != ENVIRONMENT.fingerprint(), field.name


def test_memory_differs_from_boot_to_boot() -> None:
    """A few megabytes more or less are the same machine."""
    other = dataclasses.replace(ENVIRONMENT, memory_bytes=8 * 2**30 - 5_000_000)
    assert other.fingerprint() == ENVIRONMENT.fingerprint()


def test_pooling_other_subjects_is_refused() -> None:
    """Samples could no longer be paired if one measurement had other subjects."""
    lonely = dataclasses.replace(RESULTS, timings=RESULTS.timings[:1])
    with pytest.raises(ResultsError, match="create_sequential of threads"):
        pooled([RESULTS, lonely])


def test_pooling_nothing_is_refused() -> None:
    """There is no result of no results."""
    with pytest.raises(ResultsError, match="no results"):
        pooled([])


def edited(folder: Path, **fields: Any) -> Path:
    """Save the results with some top-level fields changed by hand."""
    document = json.loads(save(RESULTS, folder).read_text())
    assert document["format"] == FORMAT
    path = folder / "edited.json"
    path.write_text(json.dumps({**document, **fields}))
    return path
