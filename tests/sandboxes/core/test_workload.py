"""What an agent's metadata says of its project."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.core.workload import RUNTIMES, Workload, workload_of


@pytest.mark.parametrize(
    ("runtime", "workload"),
    [
        ({"selected": "npm", "port": "3000"}, Workload(package_manager="npm", port=3000)),
        ({"packageManager": "uv", "port": 8000}, Workload(package_manager="uv", port=8000)),
        (
            {"packageManager": {"name": "pnpm", "path": "apps/web"}},
            Workload(package_manager="pnpm", path="apps/web"),
        ),
        ({"path": "/etc"}, Workload()),
        ({"path": "a/../../b"}, Workload()),
        ({"path": "-x"}, Workload()),
        ({"selected": "make", "port": 0}, Workload()),
        ({"port": True}, Workload()),
        (None, Workload()),
        ([], Workload()),
    ],
)
def test_what_is_read(runtime, workload):
    assert workload_of({"runtime": runtime}) == workload


def test_nothing_known_is_nothing_told():
    assert Workload().as_config() is None
    assert workload_of("x").as_config() is None


values = st.none() | st.text(max_size=6) | st.integers() | st.booleans()


@given(
    runtime=st.dictionaries(
        st.sampled_from(["selected", "packageManager", "port", "path"]),
        values | st.dictionaries(st.sampled_from(["name", "path"]), values),
    )
)
def test_any_runtime_is_read_and_stays_within_bounds(runtime):
    read = workload_of({"runtime": runtime})

    assert read.package_manager in {"", *RUNTIMES}
    assert 0 <= read.port < 65536
    assert not read.path.startswith("/")
