"""The person's settings and programs: hooks, signing, filters, and how git shows things."""

from __future__ import annotations

from pathlib import Path

from tests.sandboxes.repositories.kind import Kind
from tests.sandboxes.repositories.making import commit, git, hook, program, shared

HOOKS = (
    *("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "post-checkout"),
    *("pre-push", "pre-rebase", "post-rewrite", "post-merge", "post-index-change"),
    *("reference-transaction", "pre-applypatch", "post-applypatch", "pre-auto-gc"),
)
# What changes how git's own output looks, or what a command does beside what it is asked for.
PORCELAIN = {
    "advice.statusHints": "false",
    "apply.whitespace": "fix",
    "branch.autoSetupMerge": "always",
    "branch.autoSetupRebase": "always",
    "checkout.defaultRemote": "elsewhere",
    "checkout.guess": "true",
    "checkout.workers": "4",
    "color.ui": "always",
    "column.ui": "always",
    "commit.cleanup": "scissors",
    "commit.status": "true",
    "commit.verbose": "2",
    "core.abbrev": "4",
    "core.checkStat": "minimal",
    "core.commentChar": ";",
    "core.logAllRefUpdates": "always",
    "core.pager": "false",
    "core.quotePath": "false",
    "core.safecrlf": "warn",
    "core.whitespace": "cr-at-eol,tab-in-indent",
    "diff.algorithm": "patience",
    "diff.colorMoved": "zebra",
    "diff.context": "9",
    "diff.dirstat": "files",
    "diff.ignoreSubmodules": "all",
    "diff.indentHeuristic": "false",
    "diff.interHunkContext": "9",
    "diff.mnemonicPrefix": "true",
    "diff.noprefix": "true",
    "diff.relative": "true",
    "diff.renames": "copies",
    "diff.statGraphWidth": "5",
    "diff.submodule": "log",
    "diff.suppressBlankEmpty": "true",
    "diff.wordRegex": ".",
    "fetch.prune": "true",
    "fetch.pruneTags": "true",
    "fetch.writeCommitGraph": "true",
    "format.pretty": "fuller",
    "index.sparse": "true",
    "log.decorate": "full",
    "log.follow": "true",
    "log.showSignature": "true",
    "merge.conflictStyle": "diff3",
    "merge.ff": "only",
    "merge.renames": "false",
    "notes.rewriteRef": "refs/notes/*",
    "pull.rebase": "true",
    "push.autoSetupRemote": "true",
    "push.default": "matching",
    "push.followTags": "true",
    "push.useForceIfIncludes": "true",
    "rebase.abbreviateCommands": "true",
    "rebase.autoSquash": "true",
    "rebase.autoStash": "true",
    "rebase.missingCommitsCheck": "error",
    "rebase.rebaseMerges": "true",
    "rebase.rescheduleFailedExec": "true",
    "rebase.updateRefs": "true",
    "rerere.autoUpdate": "true",
    "rerere.enabled": "true",
    "stash.showPatch": "true",
    "status.aheadBehind": "false",
    "status.branch": "true",
    "status.displayCommentPrefix": "true",
    "status.relativePaths": "true",
    "status.renames": "copies",
    "status.short": "true",
    "status.showStash": "true",
    "status.showUntrackedFiles": "no",
    "submodule.recurse": "true",
    "tag.gpgSign": "false",
    "worktree.guessRemote": "true",
}


def _as_gitconfig(pairs: dict[str, str]) -> str:
    lines = []
    for key, value in pairs.items():
        section, name = key.rsplit(".", 1)
        section, mark, subsection = section.partition(".")
        head = f'{section} "{subsection}"' if mark else section
        lines.append(f'[{head}]\n\t{name} = "{value}"\n')
    return "".join(lines)


def _set(project: Path, pairs: dict[str, str]) -> None:
    with (project / ".git/config").open("a") as file:
        file.write(_as_gitconfig(pairs))


def _branches(folder: Path) -> Path:
    """A project whose branch work has commits; another branch points into the middle of them."""
    project = shared(folder)
    git(project, "checkout", "-q", "-b", "work")
    commit(project, {"work.txt": b"one\n"}, "work")
    git(project, "branch", "in-the-middle")
    commit(project, {"work.txt": b"two\n"}, "fixup! work")
    git(project, "checkout", "-q", "main")
    git(project, "tag", "-a", "-m", "tag", "v1")
    return project


def _porcelain(folder: Path) -> Path:
    project = _branches(folder)
    (folder / "order").write_text("src/*\n")
    _set(project, PORCELAIN | {"diff.orderFile": str(folder / "order")})
    return project


def _programs(folder: Path) -> Path:
    """Programs that git starts to show, convert, edit, sign or watch."""
    project = _branches(folder)
    attributes = b"*.txt diff=shown\n"
    commit(project, {".gitattributes": attributes}, "attributes")
    git(project, "push", "-q")
    names = ("external", "textconv", "editor", "pager", "askpass", "merge", "credential")
    made = {name: str(program(folder, name)) for name in names}
    _set(
        project,
        {
            "core.askPass": made["askpass"],
            "core.editor": made["editor"],
            "core.pager": made["pager"],
            "credential.helper": made["credential"],
            "diff.external": made["external"],
            "diff.shown.textconv": made["textconv"],
            "merge.shown.driver": made["merge"],
            "pager.diff": made["pager"],
            "pager.status": made["pager"],
            "sequence.editor": made["editor"],
        },
    )
    return project


def _fsmonitor(folder: Path) -> Path:
    project = shared(folder)
    _set(project, {"core.fsmonitor": str(program(folder, "fsmonitor"))})
    return project


def _hooks(folder: Path) -> Path:
    project = shared(folder)
    for name in HOOKS:
        hook(project / ".git/hooks" / name, folder, name)
    return project


def _husky(folder: Path) -> Path:
    """Hooks that an installation sets up: tracked, and named by the repository's settings."""
    manifest = b'{"name": "project", "scripts": {"prepare": "husky"}}\n'
    project = shared(folder, files={"package.json": manifest, ".husky/pre-commit": b"npm test\n"})
    hook(project / ".husky/_/pre-commit", folder, "husky")
    (project / ".husky/_/.gitignore").write_text("*\n")
    _set(project, {"core.hooksPath": ".husky/_"})
    return project


def _signing(folder: Path) -> Path:
    project = shared(folder)
    _set(
        project,
        {
            "commit.gpgSign": "true",
            "tag.gpgSign": "true",
            "push.gpgSign": "if-asked",
            "gpg.program": str(program(folder, "gpg", does="exit 1")),
            "user.signingKey": "0123456789ABCDEF",
        },
    )
    return project


def _worktree_config(folder: Path) -> Path:
    project = shared(folder)
    git(project, "config", "core.repositoryFormatVersion", "1")
    git(project, "config", "extensions.worktreeConfig", "true")
    git(project, "config", "--worktree", "core.commentChar", "%")
    git(project, "worktree", "add", "-q", "-b", "other", folder / "other")
    git(folder / "other", "config", "--worktree", "user.name", "Other")
    return project


def _split_index(folder: Path) -> Path:
    project = shared(folder)
    git(project, "config", "core.splitIndex", "true")
    git(project, "update-index", "--split-index")
    return project


def _untracked_cache(folder: Path) -> Path:
    project = shared(folder)
    git(project, "config", "core.untrackedCache", "true")
    git(project, "update-index", "--force-untracked-cache")
    git(project, "status", "--short")
    return project


def _many_files(folder: Path) -> Path:
    """The settings that git offers for large repositories."""
    project = shared(folder)
    git(project, "config", "feature.manyFiles", "true")
    git(project, "config", "feature.experimental", "true")
    git(project, "update-index", "--index-version", "4")
    return project


def _included(folder: Path) -> Path:
    project = shared(folder)
    (folder / "more.gitconfig").write_text(_as_gitconfig({"user.name": "Included"}))
    _set(project, {"include.path": str(folder / "more.gitconfig")})
    _set(project, {f"includeIf.gitdir:{folder}/.path": str(folder / "more.gitconfig")})
    return project


def _excluded(folder: Path) -> Path:
    """Files that only this person ignores."""
    project = shared(folder)
    (folder / "ignore").write_text("*.swp\n")
    _set(project, {"core.excludesFile": str(folder / "ignore")})
    (project / ".git/info").mkdir(exist_ok=True)
    (project / ".git/info/exclude").write_text("notes.txt\n")
    (project / "notes.txt").write_text("mine\n")
    return project


def _lenient(folder: Path) -> Path:
    """A push by another address, and by default to another remote."""
    project = shared(folder)
    server = folder / "server.git"
    git(project, "remote", "add", "elsewhere", folder / "nowhere.git")
    _set(project, {"remote.pushDefault": "origin"})
    git(project, "remote", "set-url", "--push", "origin", server)
    return project


KINDS = {
    "porcelain settings": Kind(
        make=_porcelain, says="settings of how git shows and does things", remote="origin"
    ),
    "porcelain settings of the person": Kind(
        make=_branches,
        says="the same settings for all repositories",
        remote="origin",
        gitconfig=_as_gitconfig(PORCELAIN),
    ),
    "programs": Kind(
        make=_programs, says="programs that show, convert, edit and merge", remote="origin"
    ),
    "fsmonitor": Kind(make=_fsmonitor, says="a program that watches files", remote="origin"),
    "hooks": Kind(
        make=_hooks,
        says="all kinds of hooks",
        remote="origin",
        runs=frozenset(HOOKS[:4]) | {"pre-push"},
    ),
    "husky": Kind(make=_husky, says="hooks that an installation sets up", remote="origin"),
    "signing": Kind(make=_signing, says="commits that are to be signed", remote="origin"),
    "worktree settings": Kind(
        make=_worktree_config, says="settings for each worktree", remote="origin"
    ),
    "split index": Kind(make=_split_index, says="an index in two files", remote="origin"),
    "untracked cache": Kind(
        make=_untracked_cache, says="an index that remembers new files", remote="origin"
    ),
    "many files": Kind(make=_many_files, says="git's settings for many files", remote="origin"),
    "included settings": Kind(make=_included, says="settings in other files", remote="origin"),
    "own ignore rules": Kind(
        make=_excluded, says="files that only this person ignores", remote="origin"
    ),
    "push address": Kind(make=_lenient, says="another address for pushes", remote="origin"),
}
