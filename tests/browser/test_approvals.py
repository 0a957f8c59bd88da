"""A tool asks; the card shows all of what it asks for, and how far the answer has come."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.waiting import until


@pytest.fixture
def asked(page, server):
    """Return ``asked(*chunks)``: a page on which a run has asked."""

    def ask(*chunks):
        server.add_thread(messages=[made_up.mine("clean up")], title="Clean up")
        page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
        server.wait_until_followed()
        server.say(*made_up.begin(), *chunks)
        page.locator(".approval").wait_for()
        return page

    return ask


@pytest.mark.parametrize("decision", ["Allow", "Deny"])
def test_an_answer_goes_out_once_and_its_stations_are_shown(asked, server, decision):
    page = asked(*made_up.ask("rm -rf build/"))
    expect(page.locator(".approval pre")).to_have_text("rm -rf build/")
    page.get_by_role("button", name=decision, exact=True).click()

    until(lambda: server.answers)
    word = decision.lower()
    assert server.answers == [{"thread": made_up.THREAD, "approval": "ask-1", "decision": word}]
    expect(page.get_by_role("button", name="Always")).to_have_count(0)  # no rule was offered
    expect(page.locator(".approval")).to_contain_text("Allowed." if word == "allow" else "Denied.")
    server.say(made_up.answered("answered", word))
    expect(page.locator(".approval")).to_contain_text("on its way")
    server.say(made_up.answered("delivered", word))
    expect(page.locator(".approval")).to_contain_text("The machine has your answer")
    server.say(made_up.answered("applied", word))
    expect(page.locator(".approval")).to_have_count(0)


def test_title_and_favicon_call_the_person(asked, page):
    asked(*made_up.ask("ls"))

    expect(page).to_have_title("(1) Clean up · Mesh")
    assert "f5a524" in page.locator("link[rel=icon]").get_attribute("href")


def test_the_card_takes_no_focus_from_a_person_who_is_writing(asked, server, page):
    asked(*made_up.ask("ls"))

    expect(page.locator("#text")).to_be_focused()


def test_a_long_command_must_be_seen_before_it_is_allowed(asked, server):
    page = asked(*made_up.ask("\n".join(f"echo {number}" for number in range(80))))
    allow = page.get_by_role("button", name="Allow", exact=True)
    expect(allow).to_be_disabled()
    expect(page.get_by_role("button", name="Deny", exact=True)).to_be_enabled()

    page.get_by_role("button", name="Show all of it").click()

    expect(allow).to_be_enabled()
    expect(page.locator(".approval pre")).to_contain_text("echo 79")


def test_several_questions_come_one_after_the_other(asked, server):
    page = asked(
        *made_up.ask("first", id="t-1", approval="ask-1"),
        *made_up.ask("second", id="t-2", approval="ask-2"),
    )
    expect(page.locator(".approval")).to_contain_text("1 of 2")
    page.get_by_role("button", name="Allow", exact=True).click()

    expect(page.locator(".approval pre")).to_have_text("second")
    expect(page.locator(".approval")).to_be_focused()


def test_a_refused_answer_can_be_given_again(asked, server):
    page = asked(*made_up.ask("ls"))
    server.refusal = (
        409,
        {"code": "run_over", "message": "The run has ended.", "hint": "Send a new message."},
    )
    page.get_by_role("button", name="Allow", exact=True).click()

    expect(page.locator(".approval [role=alert]")).to_have_text(
        "The run has ended. Send a new message."
    )
    expect(page.get_by_role("button", name="Allow", exact=True)).to_be_visible()


def test_a_question_that_the_agent_takes_back_closes_and_stays_told(asked, server):
    page = asked(*made_up.ask("ls"))
    server.say(*made_up.take_back("ls"))
    expect(page.locator(".approval")).to_have_count(0)
    expect(page.locator(".tool__state")).to_have_text("Withdrawn by the agent")
    expect(page.locator(".tool__what")).to_have_text("Run")

    ended = {"mesh": {"ended": "withdrawn"}}
    error = {"type": "tool-output-error", "toolCallId": "t-1", "errorText": "Not run"}
    server.say(error | {"providerMetadata": ended}, *made_up.end())
    expect(page.locator(".tool")).to_contain_text("Withdrawn by the agent")
    expect(page.locator(".tool__withdrawn")).to_be_hidden()


def test_a_call_that_ran_after_that_is_not_called_allowed(asked, server):
    page = asked(*made_up.ask("ls"))
    server.say(*made_up.take_back("ls"))
    server.say({"type": "tool-output-available", "toolCallId": "t-1", "output": "a"})

    expect(page.locator(".tool__withdrawn")).to_have_text("Question withdrawn")
    expect(page.locator(".tool__state")).to_have_text("Done")


def test_an_answer_that_crosses_the_taking_back_is_said_not_to_count(asked, server):
    page = asked(*made_up.ask("ls"))
    why = "The agent took this question back, so your answer was not used."
    server.refusal = (409, {"code": "question_withdrawn", "message": why, "hint": "Wait."})
    page.get_by_role("button", name="Allow", exact=True).click()
    expect(page.locator(".approval [role=alert]")).to_contain_text(why)

    server.say(*made_up.take_back("ls"))
    expect(page.locator(".approval")).to_have_count(0)


def test_an_ended_run_asks_nothing(asked, server):
    page = asked(*made_up.ask("ls"))
    server.say({"type": "abort"}, *made_up.end("cancelled"))

    expect(page.locator(".approval")).to_have_count(0)
    expect(page.locator(".tool")).to_contain_text("Stopped")
    expect(page).to_have_title(re.compile("^Clean up"))


def ask_three(asked):
    calls = [made_up.ask(f"echo {n}", id=f"t-{n}", approval=f"ask-{n}") for n in (1, 2, 3)]
    return asked(*[chunk for call in calls for chunk in call])


def test_a_pager_leads_through_several(asked):
    page = ask_three(asked)
    page.get_by_role("button", name="Next request").click()

    expect(page.locator(".approval pre")).to_have_text("echo 2")
    expect(page.locator(".card__count")).to_have_text("2 of 3")
    page.get_by_role("button", name="Previous request").click()
    page.get_by_role("button", name="Previous request").click()
    expect(page.locator(".approval pre")).to_have_text("echo 3")


def test_all_are_allowed_in_one_request_once_each_was_looked_at(asked, server):
    page = ask_three(asked)
    allow_all = page.get_by_role("button", name="Allow all 3")
    expect(allow_all).to_be_disabled()
    for _ in range(3):
        page.get_by_role("button", name="Next request").click()
    allow_all.click()

    until(lambda: server.asked)
    ids = ["ask-1", "ask-2", "ask-3"]
    assert server.asked == [("POST", "approvals", {"approvalIds": ids, "decision": "allow"})]


def test_always_names_the_rule_and_asks_for_it(asked, server):
    rule = "the command “ls”, exactly as it stands"
    offer = {"approvalId": "ask-1", "toolCallId": "t-1", "state": "asked", "decision": ""}
    data = {"type": "data-approval", "id": "ask-1", "data": {**offer, "rule": rule}}
    page = asked(*made_up.ask("ls"))
    server.say(data)
    expect(page.locator(".approval__rule")).to_have_text(f"Always allows, in this chat, {rule}.")
    page.get_by_role("button", name="Always").click()

    until(lambda: server.answers)
    assert server.answers[0]["remember"] is True


def test_the_card_says_which_settings_of_the_person_ask(asked, server):
    page = asked(*made_up.ask("git push"))
    told = offered({"command": "git push"})
    told["data"]["because"] = "A hook of Claude Code asks: It is \u202eyadirF."
    del told["data"]["rule"]

    server.say(told)

    because = page.locator(".approval__because")
    expect(because).to_have_text("A hook of Claude Code asks: It is ⟨U+202E⟩yadirF.")
    expect(page.get_by_role("button", name="Always")).to_have_count(0)


def offered(given, tool="Bash", rule="exactly this"):
    """Return what tells of a question's rule, and of all that is asked."""
    offer = {"approvalId": "ask-1", "toolCallId": "t-1", "state": "asked", "decision": ""}
    data = {**offer, "rule": rule, "tool": tool, "input": given}
    return {"type": "data-approval", "id": "ask-1", "data": data}


def test_the_card_shows_what_is_asked_where_the_call_has_said_less(asked, server):
    page = asked(*made_up.ask("ls"))
    server.say(offered({"command": "ls", "cwd": "/elsewhere", "env": {"PATH": "."}}))

    card = page.locator(".approval")
    expect(card).to_contain_text("in /elsewhere")
    expect(card.locator("pre").nth(0)).to_have_text("ls")
    expect(card.locator("pre").nth(1)).to_contain_text('"PATH": "."')


INPUTS = [
    pytest.param("WebFetch", {"url": "https://a.example/", "prompt": "Read"}, id="a page"),
    pytest.param("Edit", {"file_path": "a.py", "diff": "rename to b.py", "reason": "R"}, id="diff"),
    pytest.param("Edit", {"path": "p.py", "old_string": "o", "new_string": "n"}, id="an edit"),
    pytest.param("Write", {"file_path": "a.py", "content": "text", "mode": "755"}, id="a file"),
    pytest.param(
        "MultiEdit",
        {"file_path": "a.py", "edits": [{"old_string": "o", "file_path": "z.py"}]},
        id="edits",
    ),
    pytest.param(
        "Bash",
        {"command": "ls", "cwd": {"odd": "folder"}, "run_in_background": True},
        id="a command",
    ),
    pytest.param(
        "mcp__a__b", {"command": "ls", "network": {"host": "h.example"}}, id="a server's tool"
    ),
]


def texts_in(value):
    """Return each text of an input, at any depth, and the names of its flags."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts_in(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts_in(each)]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


@pytest.mark.parametrize(("tool", "given"), INPUTS)
def test_nothing_of_what_is_asked_is_left_out_of_the_card(asked, server, tool, given):
    page = asked(*made_up.ask("ls"))
    server.say(offered(given, tool))

    expect(page.locator(".approval__rule")).to_be_visible()
    for text in texts_in(given):
        expect(page.locator(".approval")).to_contain_text(text)


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        pytest.param("\u202e", "⟨U+202E⟩", id="text turned around"),
        pytest.param("\u2066", "⟨U+2066⟩", id="text set apart"),
        pytest.param("\u200b", "⟨U+200B⟩", id="a space of no width"),
        pytest.param("\x1b", "⟨U+001B⟩", id="an escape"),
        pytest.param("\r", "⟨U+000D⟩", id="back to the margin"),
        pytest.param("\U000e0041", "⟨U+E0041⟩", id="a tag"),
    ],
)
def test_the_card_shows_what_nobody_sees(asked, server, odd, named):
    page = asked(*made_up.ask("ls"))
    given = {"command": f"ls {odd}x", "cwd": f"/a{odd}b", "description": f"D{odd}"}
    server.say(offered({**given, "network": {"host": f"h{odd}"}}, rule=f"the command “{odd}”"))

    card = page.locator(".approval")
    for text in (f"ls {named}x", f"in /a{named}b", f"D{named}", f"h{named}", f"“{named}”"):
        expect(card).to_contain_text(text)
    assert odd not in card.evaluate("node => node.textContent")


@pytest.mark.parametrize("width", [360, 1280])
def test_a_card_with_much_beside_its_command_fits(asked, server, width):
    page = asked(*made_up.ask("ls"))
    page.set_viewport_size({"width": width, "height": 800})
    folder = "/home/ada/projects/" + "a-long-name/" * 8
    rule = f"the command “npm test” in {folder}, exactly as it stands"
    server.say(
        offered({"command": "npm test", "cwd": folder, "network": {"host": "x.example"}}, rule=rule)
    )

    expect(page.locator(".approval__rule")).to_contain_text(folder)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator(".approval").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_a_long_path_is_shown_to_its_end(asked, server, page):
    page.set_viewport_size({"width": 360, "height": 800})
    asked(*made_up.ask("ls"))
    server.say(offered({"file_path": "a-folder/" * 20 + "end.py", "content": "x"}, "Write"))

    head = page.locator(".approval .block__head > span").first
    expect(head).to_contain_text("end.py")
    assert head.evaluate("head => head.scrollWidth <= head.clientWidth")


def test_what_a_rule_answers_shows_no_card(page, server):
    server.add_thread(messages=[made_up.mine("clean up")])
    page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
    server.wait_until_followed()
    by_rule = made_up.answered("answered")
    by_rule["data"]["by"] = "rule"
    server.say(*made_up.begin(), *made_up.ask("ls")[:-1], by_rule, made_up.delta("go on"))

    expect(page.locator(".part--text")).to_have_text("go on")
    expect(page.locator(".approval")).to_have_count(0)


def test_a_denial_may_say_why(asked, server):
    page = asked(*made_up.ask("rm -rf /"))
    page.get_by_role("button", name="Deny with a reason").click()
    expect(page.get_by_role("textbox", name="Why not?")).to_be_focused()
    page.keyboard.type("Only the build folder")
    page.keyboard.press("Enter")

    until(lambda: server.answers)
    assert (server.answers[0]["decision"], server.answers[0]["reason"]) == (
        "deny",
        "Only the build folder",
    )


def question(multi=False):
    options = [{"label": "Blue", "description": "As the sky"}, {"label": "Green"}]
    asked = {"question": "Which colour?", "header": "Colour", "options": options}
    more = {"question": "How many?", "options": [{"label": "One"}]}
    given = {"questions": [{**asked, "multiSelect": multi}, more]}
    call = {"toolCallId": "t-1", "toolName": "AskUserQuestion", "dynamic": True}
    return [
        {"type": "tool-input-available", **call, "input": given},
        {"type": "tool-approval-request", "approvalId": "ask-1", "toolCallId": "t-1"},
        made_up.status("waiting"),
    ]


def test_questions_are_answered_one_by_one_and_sent_once(asked, server):
    page = asked(*question())
    expect(page.locator(".ask__question")).to_contain_text("Question 1 of 2")
    page.locator(".ask__option").first.click()
    page.keyboard.press("2")
    page.get_by_role("button", name="Next").click()
    assert server.answers == []
    page.get_by_role("textbox", name="Something else").fill("Three")
    page.get_by_role("button", name="Submit").click()

    until(lambda: server.answers)
    assert server.answers[0]["answers"] == {"Which colour?": "Green", "How many?": "Three"}


def test_several_choices_are_a_list_and_skipping_all_is_a_no(asked, server):
    page = asked(*question(multi=True))
    for name in ("Blue", "Green"):
        page.get_by_role("checkbox", name=name).check()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Skip").click()

    until(lambda: server.answers)
    assert server.answers[0]["answers"] == {"Which colour?": ["Blue", "Green"]}


def about_the_folder(other=False):
    options = [
        {"label": "Start a repository", "description": "Runs git init in /home/ada/notes."},
        {"label": "Work here without history", "description": "Changes your files directly."},
        {"label": "Cancel", "description": "Nothing is changed."},
    ]
    asked = {"question": "How should it work?", "header": "No history", "options": options}
    call = {"toolCallId": "f-1", "toolName": "WorkingFolder", "dynamic": True}
    given = {"questions": [{**asked, "multiSelect": False, "other": other}]}
    return [
        {"type": "tool-input-available", **call, "input": given},
        {"type": "tool-approval-request", "approvalId": "ask-1", "toolCallId": "f-1"},
        made_up.status("waiting"),
    ]


def test_the_question_about_the_folder_comes_from_mesh_and_is_one_of_its_choices(asked, server):
    page = asked(*about_the_folder())
    card = page.get_by_role("region", name="Before the agent starts")
    expect(card.get_by_role("textbox")).to_have_count(0)
    expect(card.get_by_role("button", name="Skip")).to_have_count(0)
    card.get_by_role("button", name="Submit").click()
    assert server.answers == []  # nothing is chosen yet
    card.get_by_role("radio", name="Work here without history").check()
    card.get_by_role("button", name="Submit").click()

    until(lambda: server.answers)
    chosen = {"How should it work?": "Work here without history"}
    assert (server.answers[0]["decision"], server.answers[0]["answers"]) == ("allow", chosen)


def test_a_question_shows_characters_that_reverse_text_and_is_answered_with_them(asked, server):
    called, *rest = about_the_folder()
    question = called["input"]["questions"][0]
    question["question"] = "Checked out in /home/ada/\u202eshop. How?"
    question["options"][1]["label"] = "New branch \u202emain-2"
    page = asked(called, *rest)
    expect(page.locator(".ask__question")).to_contain_text("/home/ada/⟨U+202E⟩shop")
    page.get_by_role("radio", name="New branch ⟨U+202E⟩main-2").check()
    page.get_by_role("button", name="Submit").click()

    until(lambda: server.answers)
    chosen = {question["question"]: question["options"][1]["label"]}
    assert server.answers[0]["answers"] == chosen


def test_the_question_about_a_branch_takes_another_name(asked, server):
    page = asked(*about_the_folder(other="Another name for the new branch…"))
    page.get_by_role("textbox", name="Another name for the new branch").fill("mine")
    page.keyboard.press("Enter")

    until(lambda: server.answers)
    assert server.answers[0]["answers"] == {"How should it work?": "mine"}


def test_an_answered_question_about_the_folder_stays_a_row_of_the_answer(asked, server):
    page = asked(*about_the_folder())
    server.say(
        made_up.answered("applied"),
        {
            "type": "tool-output-available",
            "toolCallId": "f-1",
            "dynamic": True,
            "output": {"answers": {"How should it work?": "Work here without history"}},
        },
        made_up.delta("Done."),
    )

    expect(page.locator(".approval")).to_have_count(0)
    expect(page.locator(".tool__what").first).to_have_text("Asked how to work here")


def plan():
    call = {"toolCallId": "t-1", "toolName": "ExitPlanMode", "dynamic": True}
    return [
        {"type": "tool-input-available", **call, "input": {"plan": "# Steps\n\n1. Do it"}},
        {"type": "tool-approval-request", "approvalId": "ask-1", "toolCallId": "t-1"},
        made_up.status("waiting"),
    ]


@pytest.mark.parametrize(
    ("button", "words", "decision", "reason"),
    [("Continue here", "", "allow", None), ("Keep iterating", "Shorter", "deny", "Shorter")],
)
def test_a_plan_is_agreed_to_or_worked_on(asked, server, button, words, decision, reason):
    page = asked(*plan())
    expect(page.locator(".approval__plan h1")).to_have_text("Steps")
    page.get_by_role("textbox", name="What should be different?").fill(words)
    page.get_by_role("button", name=button).click()

    until(lambda: server.answers)
    assert server.answers[0]["decision"] == decision
    assert server.answers[0].get("reason") == reason


def test_approving_a_plan_opens_the_chat_that_carries_it_out(asked, server):
    page = asked(*plan())
    expect(page.locator(".approval")).to_contain_text("a new chat that carries out the plan")
    server.add_thread(made_up.NEW_THREAD, title="Do it")
    page.get_by_role("button", name="Let’s go").click()

    page.wait_for_url(f"**/home/threads/{made_up.NEW_THREAD}")
    assert server.asked == [("POST", "approvals/ask-1/carry-out", None)]
    assert server.answers == []


def test_a_plan_that_can_not_be_carried_out_waits_on(asked, server):
    page = asked(*plan())
    server.refusal = (409, {"code": "x", "message": "It lacks the program.", "hint": "Install it."})
    page.get_by_role("button", name="Let’s go").click()

    expect(page.get_by_role("alert")).to_have_text("It lacks the program. Install it.")
    expect(page.get_by_role("button", name="Let’s go")).to_be_visible()


def test_the_old_chat_leads_to_where_its_plan_went(page, server):
    done = {"type": "data-carried-out", "data": {"threadId": made_up.NEW_THREAD}}
    server.add_thread(messages=[made_up.mine("Plan it"), made_up.answer(done)])
    server.add_thread(made_up.NEW_THREAD, title="Do it")
    page.goto(f"{server.url}/home/threads/{made_up.THREAD}")

    page.get_by_role("link", name="a new chat").click()

    page.wait_for_url(f"**/home/threads/{made_up.NEW_THREAD}")


def test_the_level_is_switched_while_it_works(asked, server):
    page = asked(*made_up.ask("ls"))
    page.locator("#level").select_option("auto")
    page.locator("#level").select_option("readonly")

    until(lambda: len(server.asked) == 2)
    assert server.asked[1] == ("PUT", "level", {"level": "readonly"})


def test_rules_are_listed_and_revoked(page, server):
    server.add_thread(messages=[made_up.mine("hi")])
    server.rules = [{"id": "r-1", "words": "the command “ls”, exactly as it stands"}]
    page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
    server.wait_until_followed()
    page.get_by_role("button", name="1 rule").click()
    expect(page.locator(".rules__row")).to_contain_text("the command “ls”")
    page.get_by_role("button", name="Ask again about").click()

    until(lambda: server.asked)
    assert server.asked == [("DELETE", "rules/r-1", None)]
    server.say({"type": "data-rules", "data": {"rules": []}, "transient": True}, run=None)
    expect(page.get_by_role("button", name="1 rule")).to_have_count(0)


def asks(*questions):
    """Return the chunks of a card with questions."""
    call = {"toolCallId": "q-1", "toolName": "AskUserQuestion", "dynamic": True}
    return [
        {"type": "tool-input-available", **call, "input": {"questions": list(questions)}},
        {"type": "tool-approval-request", "approvalId": "ask-1", "toolCallId": "q-1"},
        made_up.status("waiting"),
    ]


def test_a_secret_is_typed_into_a_password_field(asked, server):
    page = asked(*asks({"question": "Which key?", "header": "Key", "secret": True}))
    field = page.get_by_label("Hidden while you type")
    expect(field).to_have_attribute("type", "password")
    field.fill("hunter2")
    page.get_by_role("button", name="Submit").click()

    until(lambda: server.answers)
    assert server.answers[0]["answers"] == {"Which key?": "hunter2"}
    expect(page.locator("body")).not_to_contain_text("hunter2")
    expect(page.locator("input[type=password]")).to_have_count(0)


def test_a_plan_says_where_its_links_lead_and_hides_nothing(asked):
    plan = "Read [the guide](https://evil.example/x)\u202e and https://a.example/"
    call = {"toolCallId": "p-1", "toolName": "ExitPlanMode", "dynamic": True}
    page = asked(
        {"type": "tool-input-available", **call, "input": {"plan": plan}},
        {"type": "tool-approval-request", "approvalId": "ask-1", "toolCallId": "p-1"},
        made_up.status("waiting"),
    )

    expect(page.locator(".approval__plan")).to_have_text(
        "Read the guide (https://evil.example/x)⟨U+202E⟩ and https://a.example/"
    )


def test_white_space_pushes_nothing_out_of_sight(asked):
    page = asked(*made_up.ask("ls" + " " * 5_000 + "; rm -rf /tmp/x" + "\n" * 500 + "reboot"))

    expect(page.locator(".approval pre")).to_have_text(
        "ls ⟨5000 spaces⟩ ; rm -rf /tmp/x\n⟨499 empty lines⟩\nreboot"
    )


def test_an_edit_is_a_diff_whatever_the_agent_calls_its_fields(asked):
    edit = {"filePath": "a.py", "oldString": "x = 1\ny = 2", "newString": "x = 1\ny = 3"}
    call = {"toolCallId": "e-1", "toolName": "edit", "dynamic": True}
    page = asked(
        {"type": "tool-input-available", **call, "input": edit},
        {"type": "tool-approval-request", "approvalId": "ask-1", "toolCallId": "e-1"},
        made_up.status("waiting"),
    )

    expect(page.locator(".approval .diff__minus")).to_have_text("− y = 2\n")
    expect(page.locator(".approval .diff__plus")).to_have_text("+ y = 3\n")
    expect(page.locator(".approval")).not_to_contain_text("oldString")
    expect(page.locator(".tool .tool__count")).to_have_text("+1 −1")


def test_a_long_change_is_seen_before_it_is_allowed(asked):
    call = {"toolCallId": "e-1", "toolName": "Write", "dynamic": True}
    text = "\n".join(f"line {number}" for number in range(1_000))
    page = asked(
        {"type": "tool-input-available", **call, "input": {"file_path": "a", "content": text}},
        {"type": "tool-approval-request", "approvalId": "ask-1", "toolCallId": "e-1"},
        made_up.status("waiting"),
    )
    allow = page.get_by_role("button", name="Allow", exact=True)
    expect(allow).to_be_disabled()
    page.get_by_role("button", name="Show all of it").click()

    expect(allow).to_be_enabled()
    expect(page.locator(".approval .diff__plus")).to_have_count(1_000)
