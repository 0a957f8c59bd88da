"""Threads, machines, agents and chunks as the page gets them, made up for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

from agents.core.offers import NOTHING
from agents.core.options import Fine
from links.core.presence import SENTENCES

THREAD = "11111111-1111-4111-8111-111111111111"
NEW_THREAD = "22222222-2222-4222-8222-222222222222"
RUN = "33333333-3333-4333-8333-333333333333"
LINK = "44444444-4444-4444-8444-444444444444"
AT = "2026-01-05T09:30:00+00:00"
WHEEL = "https://mesh.example/dist/mesh_link-0.1.0+1a2b3c4d-py3-none-any.whl#sha256=" + "5e" * 32
OFFER = SimpleNamespace(
    uv="uv venv -q --allow-existing ~/.deco/mesh.example"
    f" && uv pip install -q -p ~/.deco/mesh.example '{WHEEL}'"
    " && ~/.deco/mesh.example/bin/deco link https://mesh.example",
    pip="python3 -I -m venv ~/.deco/mesh.example"
    f" && ~/.deco/mesh.example/bin/pip install -qU '{WHEEL}'"
    " && ~/.deco/mesh.example/bin/deco link https://mesh.example",
)


def machine(name="mbp", state="online", cause="", **fields):
    given = {
        "id": LINK,
        "machine_id": "0f9c2a51d3b84e7f9a6b1c2d3e4f5a6b",
        "harnesses": {},
        "capabilities": (),
        "cli_version": "0.1",
        "created_at": datetime(2026, 1, 2, 8, 30, tzinfo=UTC),
        "seen_at": datetime(2026, 1, 5, 9, 30, tzinfo=UTC),
        "sentence": SENTENCES.get(cause, ""),
        "is_signed_out": cause == "signed_out",
        **fields,
    }
    return SimpleNamespace(name=name, state=state, cause=cause, **given)


def as_json(link):
    return {"id": link.id, "name": link.name, "state": link.state, "cause": link.cause}


def summary(**fields):
    return {
        "id": THREAD,
        "title": "New chat",
        "status": "idle",
        "resting": None,
        "stopDue": False,
        "unread": False,
        "background": [],
        "harnessId": "claude-code",
        "machine": as_json(machine()),
        "runsOnMachine": True,
        "branch": None,
        "locked": True,
        "steer": "now",
        "hearsReasons": True,
        "agent": {"id": "default", "slug": "default", "title": "Mesh"},
        "updatedAt": AT,
        "createdAt": AT,
        **fields,
    }


_DESCRIPTIONS = {
    "fast": "Quicker responses",
    "smart": "Balanced quality",
    "thinking": "Deeper reasoning",
}


def section(
    kind,
    title,
    labels,
    *,
    is_local=True,
    state="enabled",
    reason="",
    action="",
    takes=("text", "image"),
    level_notes=None,
    missing_levels=None,
    offer=NOTHING,
):
    tiers = tuple(
        SimpleNamespace(
            key=key,
            label=label,
            description=_DESCRIPTIONS[key],
            model_id=None,
            icon="",
            takes=takes,
        )
        for key, label in zip(_DESCRIPTIONS, labels, strict=True)
    )
    return SimpleNamespace(
        kind=kind,
        title=title,
        level_notes=level_notes or {},
        missing_levels=missing_levels or {},
        machine=machine() if is_local else None,
        is_local=is_local,
        icon="laptop" if is_local else "cloud",
        state=state,
        reason=reason,
        action=action,
        tiers=tiers,
        offer=offer,
        models=offer.models,
    )


def chat(*sections, active=("claude-code", "smart"), locked=False, **fields):
    sections = sections or (
        section("claude-code", "Claude Code", ("Haiku", "Sonnet", "Opus")),
        section("demo", "Demo", ("Fast", "Smart", "Thinking"), takes=()),
    )
    given = {"fine": Fine(), "machine": machine(), "machines": (), "source": source(), **fields}
    return SimpleNamespace(sections=sections, active=active, locked=locked, **given)


def source(kind="scratch", **fields):
    has_branches = kind in ("repository", "folder")
    return SimpleNamespace(kind=kind, has_branches=has_branches, url="", folder="", **fields)


def agent(slug="default", title="Mesh", **fields):
    return SimpleNamespace(pk=slug, slug=slug, title=title, icon="", source=source(), **fields)


def mine(text, id="m-1"):
    return {
        "id": id,
        "role": "user",
        "parts": [{"type": "text", "text": text}],
        "metadata": {"createdAt": AT},
    }


def began(text, id="s-1"):
    """Return Mesh's own words about an answer that the agent began by itself."""
    return {**mine(text, id), "role": "system"}


def answer(*parts, id="a-1", **metadata):
    facts = {
        "createdAt": AT,
        "finishedAt": "2026-01-05T09:30:42+00:00",
        "state": "completed",
        **metadata,
    }
    return {"id": id, "role": "assistant", "parts": list(parts), "metadata": facts}


def text(value):
    return {"type": "text", "text": value, "state": "done"}


def tool(name, input, output=None, *, state="output-available", id="t-1", **fields):
    part = {
        "type": "dynamic-tool",
        "toolName": name,
        "toolCallId": id,
        "state": state,
        "input": input,
    }
    if output is not None:
        part["output"] = output
    return {**part, **fields}


# Chunks


def heard(id, parts):
    message = {"id": id, "role": "user", "parts": parts, "metadata": {"createdAt": AT}}
    return {"type": "data-user-message", "id": id, "data": {"message": message}, "transient": True}


def status(state, *, prompt="m-1", run=RUN, **fields):
    data = {"runId": run, "messageId": prompt, "state": state, **fields}
    return {"type": "data-run-status", "data": data, "transient": True}


def begin(run=RUN):
    return [
        status("dispatched", run=run),
        status("running", run=run),
        {"type": "start", "messageId": run},
        {"type": "start-step"},
        {"type": "text-start", "id": "t"},
    ]


def delta(value, id="t"):
    return {"type": "text-delta", "id": id, "delta": value}


def end(state="completed", run=RUN, **fields):
    return [
        {"type": "text-end", "id": "t"},
        {"type": "finish-step"},
        status(state, run=run, **fields),
        {"type": "finish", "finishReason": "stop"},
    ]


def ask(command, *, id="t-1", approval="ask-1", tool="Bash"):
    return [
        {"type": "tool-input-start", "toolCallId": id, "toolName": tool, "dynamic": True},
        {
            "type": "tool-input-available",
            "toolCallId": id,
            "toolName": tool,
            "input": {"command": command},
            "dynamic": True,
        },
        {"type": "tool-approval-request", "approvalId": approval, "toolCallId": id},
        status("waiting"),
    ]


def take_back(command, *, id="t-1", approval="ask-1", tool="Bash"):
    """Return what an agent's withdrawal of a question adds to the journal."""
    head = {"toolCallId": id, "toolName": tool, "dynamic": True}
    call = {"type": "tool-input-available", **head, "input": {"command": command}}
    return [
        call | {"providerMetadata": {"mesh": {"withdrawn": True}}},
        answered("withdrawn", "", id=id, approval=approval),
        status("running"),
    ]


def read_a_file(name):
    call = {"toolCallId": f"read-{name}", "toolName": "Read", "dynamic": True}
    return [
        {"type": "tool-input-available", **call, "input": {"file_path": name}},
        {"type": "tool-output-available", **call, "output": "ok"},
    ]


def answered(state, decision="allow", *, id="t-1", approval="ask-1"):
    data = {
        "approvalId": approval,
        "toolCallId": id,
        "state": state,
        "decision": decision,
        "reason": "",
    }
    return {"type": "data-approval", "id": approval, "data": data}


PROSE = """Found it. The middleware compares the path **before** it is decoded,
so `%2F` slips through and the reader lands on the wrong page.

## What I changed

1. Decode once, at the border
2. Compare the decoded path
3. Keep `next` only when it is *relative*; see [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986)

```python
def safe_next(value: str) -> str:
    \"\"\"Return a path of ours, or the start page.\"\"\"
    path = unquote(value)
    if not path.startswith("/") or path.startswith("//"):
        return "/"  # someone else's host
    return path
```

| Case | Before | After |
|---|---|---:|
| `/a%2Fb` | wrong page | 12 ms |
| `//evil.example` | left the site | 9 ms |

> All 214 tests pass.
"""


def conversation():
    return [
        mine("Fix the login redirect: after signing in people land on the wrong page.", "m-0"),
        answer(
            {
                "type": "reasoning",
                "text": "The redirect is built in the middleware.\nLet me look at it.",
                "state": "done",
            },
            tool("Grep", {"pattern": "LOGIN_REDIRECT"}, "mesh/settings.py:12", id="1"),
            tool("Read", {"file_path": "src/auth/middleware.py"}, "1\timport os\n", id="2"),
            tool(
                "Edit",
                {
                    "file_path": "src/auth/middleware.py",
                    "old_string": "if request.path == next:\n    pass",
                    "new_string": "path = unquote(next)\nif request.path == path:\n    pass",
                },
                "ok",
                id="3",
            ),
            tool(
                "Bash",
                {"command": "pytest tests/auth -q", "description": "Run the tests"},
                "214 passed in 3.1s",
                id="4",
            ),
            text(PROSE),
            costUsd=0.0421,
        ),
        mine("Thanks! And does it hold for the admin too?", "m-1"),
    ]
