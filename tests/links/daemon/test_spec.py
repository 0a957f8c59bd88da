import pytest

from links.daemon.errors import BadHandle, BadSpec, FolderNotAllowed, MissingHandle
from links.daemon.spec import SandboxSpec, allowed_folder, parse_spec


def test_what_is_parsed_is_what_the_sandbox_is_told():
    repo = {"cloneUrl": "https://git.example/a.git", "branch": "main"}
    value = {
        "handle": "h",
        "repo": repo,
        "branch": "work",
        "unknown": 1,
    }

    spec = parse_spec(value, allowed=())

    assert spec == SandboxSpec(
        "h", "", {"cloneUrl": "https://git.example/a.git", "branch": "main"}, "work"
    )
    assert spec.as_json() == {key: value[key] for key in ("handle", "repo", "branch")}


def test_a_sandbox_of_a_folder_is_told_which_folders_this_machine_allows(code):
    value = {"handle": "h", "folder": str(code), "allowed": ["/"]}

    spec = parse_spec(value, allowed=[code])

    assert spec.as_json()["allowed"] == [str(code)]  # never what the server says


@pytest.mark.parametrize("handle", [None, "", ["h"], {"h": 1}, 7], ids=repr)
def test_a_missing_handle(handle):
    with pytest.raises(MissingHandle):
        parse_spec({"handle": handle}, allowed=())


@pytest.mark.parametrize("handle", ["../x", "a/b", "A", "-a", "a" * 64, "a\x00", "."])
def test_a_bad_handle(handle):
    with pytest.raises(BadHandle):
        parse_spec({"handle": handle}, allowed=())


@pytest.mark.parametrize(
    "wrong",
    [
        {"branch": 1},
        {"folder": ["x"]},
        {"repo": "https://git.example"},
        {"repo": {}},
        {"repo": {"cloneUrl": "--upload-pack=touch /tmp/x"}},
        {"repo": {"cloneUrl": "x" * 2001}},
        {"repo": {"cloneUrl": "http://git.example/a"}},
        {"repo": {"cloneUrl": "file:///home/ada/code"}},
        {"repo": {"cloneUrl": "git@-oProxyCommand=x:a"}},
    ],
)
def test_a_bad_spec(wrong):
    with pytest.raises(BadSpec):
        parse_spec({"handle": "h", **wrong}, allowed=())


@pytest.fixture
def code(tmp_path):
    (tmp_path / "code" / "project").mkdir(parents=True)
    (tmp_path / "private").mkdir()
    return tmp_path / "code"


@pytest.mark.parametrize("folder", ["", "project", "project/../project"])
def test_an_allowed_folder(code, folder):
    assert allowed_folder(str(code / folder), [code]) == str((code / folder).resolve())


def test_a_link_within_the_allowed_folder_is_followed(code):
    (code / "link").symlink_to(code / "project")

    assert allowed_folder(str(code / "link"), [code]) == str(code / "project")


@pytest.mark.parametrize("folder", ["../private", "../code2", "absent", "project/file"])
def test_a_folder_that_is_not_allowed(code, folder):
    (code.parent / "code2").mkdir()
    (code / "project" / "file").write_text("")

    with pytest.raises(FolderNotAllowed):
        allowed_folder(str(code / folder), [code])


def test_a_link_out_of_the_allowed_folder_leads_nowhere(code):
    (code / "link").symlink_to(code.parent / "private")

    with pytest.raises(FolderNotAllowed):
        allowed_folder(str(code / "link"), [code])


@pytest.mark.parametrize("folder", ["code", "./code", "a\x00b", "/"])
def test_neither_relative_nor_odd(code, folder):
    with pytest.raises(FolderNotAllowed):
        allowed_folder(folder, [code])


def test_without_allowed_folders_none_is(code):
    with pytest.raises(FolderNotAllowed):
        parse_spec({"handle": "h", "folder": str(code)}, allowed=())
