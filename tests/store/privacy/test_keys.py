"""The port to keys: what holds wherever they are kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from store import KeyId, Keys
from store.privacy.key import KEY_BYTES, REF_CHARACTERS


def test_a_subject_has_one_key_until_another_is_made(keys: Keys) -> None:
    first = keys.newest(["ada", "bea"])
    assert keys.newest(["ada"])["ada"] == first["ada"]
    assert first["ada"].id.n == 1
    assert len(first["ada"].material) == KEY_BYTES
    assert first["ada"].material != first["bea"].material
    second = keys.rotate("ada")
    assert second.id == KeyId(first["ada"].id.ref, 2)
    assert keys.newest(["ada"])["ada"] == second
    assert keys.find([first["ada"].id, second.id]) == {first["ada"].id: first["ada"], second.id: second}


def test_a_ref_tells_nothing_and_is_always_the_same(keys: Keys) -> None:
    ref = keys.ref("ada@example.com")
    assert len(ref) == REF_CHARACTERS
    assert keys.ref("ada@example.com") == ref == keys.newest(["ada@example.com"])["ada@example.com"].id.ref
    assert keys.ref("bea@example.com") != ref


def test_what_was_deleted_is_not_found_and_its_number_not_used_again(keys: Keys) -> None:
    ada, bea = keys.newest(["ada", "bea"]).values()
    keys.rotate("ada")
    assert keys.delete("ada") == 2
    assert keys.find([ada.id, KeyId(ada.id.ref, 2), bea.id]) == {bea.id: bea}
    assert keys.delete("ada") == 0
    assert keys.newest(["ada"])["ada"].id.n == 3


def test_nobody_is_found_among_none(keys: Keys) -> None:
    assert keys.find([KeyId("A" * REF_CHARACTERS, 1)]) == {}
    assert keys.find([]) == keys.newest([]) == {}
    assert keys.delete("nobody") == 0


def test_those_who_race_get_the_same_keys(keys: Keys) -> None:
    subjects = [f"subject {number}" for number in range(10)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: dict(keys.newest(subjects)), range(4)))
    assert all(answer == answers[0] for answer in answers)
    assert {key.id.n for key in answers[0].values()} == {1}


def test_a_key_does_not_show_its_material(keys: Keys) -> None:
    key = keys.newest(["ada"])["ada"]
    assert repr(key) == f"Key({key.id.ref}.1)"
