import threading
from concurrent.futures import ThreadPoolExecutor

from mesh import keys


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "sub" / "key"

    first = keys.read_or_make(path, keys.make_secret)

    assert keys.read_or_make(path, keys.make_secret) == first
    assert path.stat().st_mode & 0o777 == 0o600


def test_of_many_that_start_at_once_all_get_the_same_key(tmp_path):
    all_made = threading.Barrier(4)

    def make():
        all_made.wait()  # nobody finds the file, everybody makes a key of their own
        return keys.make_secret()

    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda _: keys.read_or_make(tmp_path / "key", make), range(4)))

    assert len(set(got)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_what_is_sealed_does_not_show_and_comes_back():
    sealed = keys.seal("the secret")

    assert "secret" not in sealed
    assert keys.unseal(sealed) == "the secret"


def test_an_older_key_still_opens(settings):
    sealed = keys.seal("x")
    settings.MESH_ENCRYPTION_KEYS = [keys.make_fernet(), *settings.MESH_ENCRYPTION_KEYS]

    assert keys.unseal(sealed) == "x"
