from uuid import RFC_4122

from mesh.lib.ids import new_id


def test_is_a_uuid_of_version_7():
    assert {(one.version, one.variant) for one in (new_id() for _ in range(100))} == {(7, RFC_4122)}


def test_none_comes_twice():
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_sorts_by_time(monkeypatch):
    moments = iter(range(1_700_000_000_000_000_000, 1_700_000_001_000_000_000, 1_000_000))
    monkeypatch.setattr("mesh.lib.ids.time.time_ns", lambda: next(moments))

    made = [new_id() for _ in range(100)]

    assert made == sorted(made)
