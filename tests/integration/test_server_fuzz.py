"""Malformed requests by the thousand: each is answered, and none by a 5xx but 503.

Thirty thousand of them: `pytest tests/integration/test_server_fuzz.py --fuzz 30000 --timeout 0`.
"""

import asyncio
import itertools
from collections import Counter

import httpx
import pytest

from tests.integration import owners
from tests.integration.owners import token_of
from tests.integration.serving import Serving
from tests.integration.soak.malformed import Malformed

pytest_plugins = ("tests.integration.serving_fixtures",)
SETTINGS = owners.SETTINGS
SENDERS = 8


async def known(http: httpx.AsyncClient) -> dict[str, str]:
    """Make one of everything, and return the ids by the names of the paths' parameters."""
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    assistant = (await http.post("/assistants", json={"graph_id": "agent"})).json()
    said = {"messages": [{"role": "user", "content": "hello"}]}
    run = await http.post(f"/threads/{thread}/runs", json={"assistant_id": "agent", "input": said})
    await http.get(f"/threads/{thread}/runs/{run.json()['run_id']}/join")
    state = (await http.get(f"/threads/{thread}/state")).json()
    cron = await http.post(
        "/runs/crons", json={"assistant_id": "agent", "schedule": "0 4 1 1 *", "input": said}
    )
    return {
        "thread_id": thread,
        "run_id": run.json()["run_id"],
        "assistant_id": assistant["assistant_id"],
        "checkpoint_id": state["checkpoint"]["checkpoint_id"],
        "cron_id": cron.json()["cron_id"],
    }


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.invariant(17, 54)
async def test_no_malformed_request_gets_a_5xx(
    server: Serving, request: pytest.FixtureRequest
) -> None:
    """Whatever is sent, the answer is clear, and the server goes on."""
    count: int = request.config.getoption("fuzz")
    seed: str = request.config.getoption("soak_seed")
    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    async with httpx.AsyncClient(
        base_url=server.url,
        headers={"Authorization": f"Bearer {token_of('alice')}"},
        timeout=60,
    ) as http:
        malformed = Malformed(seed, await known(http)).requests(count)

        async def send_some() -> None:
            for given in malformed:
                try:
                    sent = http.build_request(**given)
                except (httpx.InvalidURL, UnicodeEncodeError, ValueError):
                    continue  # the client itself refuses it
                try:
                    answer = await http.send(sent)
                except httpx.LocalProtocolError:
                    continue  # likewise
                except httpx.TransportError as exc:
                    wrong.append(f"{exc!r} for {str(given)[:500]}")
                    continue
                statuses[answer.status_code] += 1
                if answer.status_code >= 500 and answer.status_code != 503:
                    wrong.append(f"{answer.status_code} {answer.text[:300]} for {str(given)[:500]}")

        await asyncio.gather(*(send_some() for _ in range(SENDERS)))
        assert (await http.get("/ok")).status_code == 200
    print(f"seed {seed}: {dict(statuses)}")  # noqa: T201 -- the figures of a long run
    assert list(itertools.islice(wrong, 5)) == []
    assert statuses.total() > count / 2
