"""Shares and turns: nobody has everything, and whoever comes last is not last for long."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import ServerConfig
from harness.database.gate import NOBODY, Gate
from harness.errors import ConfigError
from harness.server.shares import Shares

TOTAL = 20


def taken(shares: Shares, owner: str) -> int:
    """Take as many as an owner may have, and return how many it has."""
    while not shares.is_full(owner):
        shares.take(owner)
    return shares.held_by(owner)


def test_each_has_a_part_of_what_others_leave() -> None:
    """Half of all, half of the rest, and so on; one while there is any, and then none."""
    shares = Shares(TOTAL, 0.5)
    assert [taken(shares, f"{n}") for n in range(7)] == [10, 5, 2, 1, 1, 1, 0]
    assert set(shares.full) == {f"{n}" for n in range(6)}
    for _ in range(4):
        shares.give("0")
    assert taken(shares, "late") == 2
    assert taken(shares, "0") == 6


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=80),
    st.integers(1, TOTAL),
    st.floats(0.01, 1),
)
def test_a_part_is_never_exceeded(moves: list[tuple[str, bool]], total: int, part: float) -> None:
    """Whoever takes and gives: nobody has more than the part of what the others leave."""
    shares, held = Shares(total, part), dict.fromkeys("abcde", 0)
    for owner, takes in moves:
        if takes and not shares.is_full(owner):
            shares.take(owner)
            held[owner] += 1
            left = total - sum(held.values()) + held[owner]
            assert held[owner] <= max(left * part, 1)
        elif not takes and held[owner]:
            shares.give(owner)
            held[owner] -= 1
        assert sum(held.values()) <= total
        if sum(held.values()) < total:
            assert [one for one in held if not held[one] and shares.is_full(one)] == []


def test_without_authentication_one_has_all() -> None:
    """The one owner there is has every place; with owners told apart, their part."""
    alone = ServerConfig(owner_share=0.25)
    assert (alone.part_of_owner, alone.share_of(8)) == (1.0, 8)
    told_apart = ServerConfig(owner_share=0.25, jwt_secret="s" * 32)
    assert (told_apart.part_of_owner, told_apart.share_of(8), told_apart.share_of(3)) == (
        0.25,
        2,
        1,
    )
    assert taken(Shares(8, alone.part_of_owner), "anybody") == 8


@pytest.mark.parametrize("share", [0, -1, 1.01, float("nan")])
def test_a_share_is_a_part(share: float) -> None:
    """Above 0 and at most 1."""
    with pytest.raises(ConfigError, match="owner_share"):
        ServerConfig(owner_share=share)


@pytest.mark.parametrize(
    "name",
    [
        "max_recursion_limit",
        "max_filter_terms",
        "max_answer_bytes",
        "max_event_bytes",
        "max_unwritten",
        "max_unwritten_bytes",
    ],
)
def test_bounds_are_settings(name: str) -> None:
    """Each is read from its variable, and bounds something."""
    variable = f"HARNESS_{name.upper()}"
    assert getattr(ServerConfig.from_env({variable: "7"}), name) == 7
    assert ServerConfig.from_env({"HARNESS_OWNER_SHARE": "0.25"}).owner_share == 0.25
    for value in ("0", "-1", "many"):
        with pytest.raises(ConfigError, match=f"(?i){name}"):
            ServerConfig.from_env({variable: value})


async def entered(gate: Gate, owner: str, log: list[str]) -> None:
    """Enter, and write down who did."""
    await gate.enter(owner, 10)
    log.append(owner)


async def test_who_waits_takes_turns() -> None:
    """A crowd of one owner delays another by one turn; nobody is inside beyond the share."""
    gate, log = Gate(2, 2), list[str]()
    for owner in ("mallory", "mallory"):
        await gate.enter(owner, 1)
    crowd = [asyncio.create_task(entered(gate, "mallory", log)) for _ in range(50)]
    await asyncio.sleep(0)
    others = [asyncio.create_task(entered(gate, owner, log)) for owner in ("ada", "bob", NOBODY)]
    await asyncio.sleep(0)
    for leaves in ("mallory", "mallory", "mallory", "ada", "bob"):
        gate.leave(leaves)
        await asyncio.sleep(0)
    await asyncio.gather(*others)
    assert log == ["mallory", "ada", "bob", NOBODY, "mallory"]
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)


async def test_a_share_leaves_room() -> None:
    """One owner's share is less than the room there is, so others and the server enter at once."""
    gate = Gate(4, 2)
    for owner in ("mallory", "mallory", "ada", NOBODY):
        await gate.enter(owner, 0)
    for owner in ("mallory", "bob"):
        with pytest.raises(TimeoutError):
            await gate.enter(owner, 0.01)
    gate.leave(NOBODY)
    with pytest.raises(TimeoutError):
        await gate.enter("mallory", 0.01)
    await gate.enter("bob", 0)


async def test_who_gives_up_loses_no_room() -> None:
    """Cancelled while waiting, or at the moment of being let in: the room goes to the next."""
    gate = Gate(1, 1)
    await gate.enter("ada", 1)
    waits = [asyncio.create_task(gate.enter(f"{n}", 10)) for n in range(3)]
    await asyncio.sleep(0)
    waits[0].cancel()
    gate.leave("ada")  # to 1, since 0 has given up
    waits[1].cancel()  # it was let in, and does not know yet
    await asyncio.gather(*waits[:2], return_exceptions=True)
    await waits[2]
    gate.leave("2")
    await gate.enter("last", 0)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", NOBODY]), st.booleans()), max_size=40))
def test_any_comings_and_goings_leave_the_gate_open(moves: list[tuple[str, bool]]) -> None:
    """After anybody entered, gave up and left in any order, there is as much room as before."""

    async def history() -> None:
        gate = Gate(3, 2)
        inside: list[str] = []

        async def visit(owner: str) -> None:
            await gate.enter(owner, 10)
            inside.append(owner)
            assert len(inside) <= 3
            assert owner == NOBODY or inside.count(owner) <= 2
            try:
                await asyncio.sleep(0)
            finally:
                inside.remove(owner)
                gate.leave(owner)

        visits = []
        for owner, patient in moves:
            visits.append(asyncio.create_task(visit(owner)))
            await asyncio.sleep(0)
            if not patient:
                visits[len(visits) // 2].cancel()
        await asyncio.gather(*visits, return_exceptions=True)
        for _ in range(3):
            await gate.enter(NOBODY, 0)

    asyncio.run(history())
