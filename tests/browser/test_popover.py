"""The popover over the composer: who answers, at which tier, on which machine."""

import pytest
from playwright.sync_api import expect

from agents.core.offers import read_offer
from tests.browser import made_up
from tests.waiting import until

BIRCH = "55555555-5555-4555-8555-555555555555"
OFFER = read_offer(
    {
        "models": [
            {"id": "opus[1m]", "title": "Opus 1M", "efforts": ["low", "high"]},
            {"id": "fable", "title": "Fable", "description": "For the hardest tasks"},
        ],
        "efforts": [{"id": "low", "title": "Low"}, {"id": "max", "title": "Max"}],
    }
)
CLAUDE = ("claude-code", "Claude Code", ("Haiku", "Sonnet", "Opus"))
DEMO = ("demo", "Demo", ("Alpha", "Beta", "Gamma"))


OLD = """<div id="agents"><button id="agent-pill">Old</button><div id="agent-menu"></div></div>"""


def machines(chosen=made_up.LINK):
    both = made_up.machine(), made_up.machine(name="birch", id=BIRCH)
    return {"machines": both, "machine": next(each for each in both if each.id == chosen)}


def sections(**states):
    return [
        made_up.section(*CLAUDE, state=states.get("claude", "enabled"), reason="Because."),
        made_up.section(*DEMO, state=states.get("demo", "enabled"), reason="Because."),
    ]


@pytest.fixture
def opened(page, server):
    """Return ``opened(chat)``: a new chat with the popover open."""

    def open_it(chat=None):
        server.chat = chat or server.chat
        page.goto(f"{server.url}/home/")
        page.locator("#agent-pill").click()
        expect(page.locator("#agent-menu")).to_be_visible()

    return open_it


def send(page, server):
    page.locator("#text").fill("hi")
    page.keyboard.press("Enter")
    until(lambda: server.posts)
    return server.posts[0]


def test_a_click_on_haiku_is_fast_once(page, server, opened):
    """U-C4, U-D3."""
    opened()
    page.get_by_text("Haiku", exact=True).click()

    body = send(page, server)
    assert (body["harnessId"], body["tier"]) == ("claude-code", "fast")
    assert body["sandboxProviderKind"] == "remote-user"


def test_on_stands_at_the_picked_row_alone(page, opened):
    """U-C5."""
    opened()

    expect(page.locator(".tier__on:visible")).to_have_count(1)
    expect(page.locator("#tier-claude-code-smart .tier__on")).to_be_visible()


def test_a_disabled_row_fires_nothing(page, server, opened):
    """U-C3."""
    opened(made_up.chat(*sections(demo="unavailable")))
    page.locator("#why-demo").click()

    expect(page.locator("#agent-menu")).to_be_visible()
    expect(page.locator("#agent-pill")).to_have_text("Claude Code · Sonnet")
    assert page.locator("#agent-demo").get_attribute("aria-disabled") == "true"
    expect(page.locator("#agent-demo")).to_have_attribute("aria-describedby", "why-demo")


@pytest.mark.parametrize(
    ("width", "gap", "has_words"),
    [pytest.param(1200, "6px", True, id="wide"), pytest.param(360, "0px", False, id="narrow")],
)
def test_the_pill_has_a_gap_only_where_it_has_words(page, server, width, gap, has_words):
    """U-E3: no phantom gap."""
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(f"{server.url}/home/")

    pill = page.locator("#agent-pill")
    assert pill.evaluate("node => getComputedStyle(node).columnGap") == gap
    words = page.locator(".pill__words").evaluate("node => node.getBoundingClientRect().width")
    assert (words > 0) is has_words
    expect(pill).to_have_attribute("aria-label", "Agent: Claude Code · Sonnet on mbp")


def test_the_gap_opens_at_496_pixels_of_the_row(page, server):
    """U-E3: the threshold is the row's, not the window's."""
    page.goto(f"{server.url}/home/")
    gap_at = """width => {
      const row = document.querySelector('.composer__row');
      row.style.boxSizing = 'content-box';
      row.style.paddingInline = 0;
      row.style.width = `${width}px`;
      return getComputedStyle(document.getElementById('agent-pill')).columnGap;
    }"""

    assert page.evaluate(gap_at, 495) == "0px"
    assert page.evaluate(gap_at, 496) == "6px"


def test_the_machine_that_is_picked_is_asked_for_and_sent(page, server, opened):
    opened(made_up.chat(*sections(), **machines()))
    server.chat = made_up.chat(*sections(claude="unavailable"), **machines(BIRCH))

    with page.expect_response(lambda answer: f"machine={BIRCH}" in answer.url):
        page.get_by_text("birch", exact=True).click()

    expect(page.locator("#agent-claude-code")).to_be_disabled()
    expect(page.locator("#agent-menu")).to_be_visible()
    page.get_by_text("Alpha", exact=True).click()
    assert send(page, server)["linkId"] == BIRCH
    assert {"name": "mesh_machine", "value": BIRCH}.items() <= next(
        cookie for cookie in page.context.cookies() if cookie["name"] == "mesh_machine"
    ).items()


def test_it_opens_at_the_agent_and_gives_the_focus_back(page, opened):
    opened(made_up.chat(*sections(), **machines()))
    expect(page.locator("input[value='claude-code:smart']")).to_be_focused()

    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page.locator("#agent-menu")).to_be_hidden()
    expect(page.locator("#agent-pill")).to_be_focused()
    expect(page.locator("#agent-pill")).to_have_accessible_name("Agent: Claude Code · Opus on mbp")


def test_with_one_machine_none_is_sent(page, server, opened):
    opened()
    page.keyboard.press("Escape")

    assert send(page, server)["linkId"] is None


def test_the_rows_are_fresh_while_it_is_open_and_focus_stays(page, server, opened):
    """W2: only the list is replaced, focus is kept, an open choice never moves."""
    opened()
    page.keyboard.press("ArrowDown")
    expect(page.locator("[value='claude-code:thinking']")).to_be_focused()
    before = page.locator("#tier-claude-code-thinking").bounding_box()
    server.chat = made_up.chat(
        *sections(demo="unavailable"), active=("claude-code", "thinking"), **machines()
    )

    server.change_link(cause="")

    expect(page.locator("#agent-demo")).to_be_disabled()
    expect(page.locator("#agent-machines")).to_be_visible()
    expect(page.locator("[value='claude-code:thinking']")).to_be_focused()
    expect(page.locator("[value='claude-code:thinking']")).to_be_checked()
    after = page.locator("#tier-claude-code-thinking").bounding_box()
    assert (after["x"], after["height"]) == (before["x"], before["height"])


def test_what_is_picked_while_fresh_rows_are_on_their_way_stays_picked(page, server, opened):
    opened()
    held = []
    page.route("**/live?*smart*", lambda route: held.append(route))
    with page.expect_request("**/live?*smart*"):
        server.change_link(cause="")

    page.get_by_text("Haiku", exact=True).click()
    server.chat = made_up.chat(active=("claude-code", "fast"))
    with page.expect_response("**/live?*fast*"):
        held[0].fulfill(body=OLD, content_type="text/html")

    expect(page.locator("[value='claude-code:fast']")).to_be_checked()
    expect(page.locator("#agent-pill")).to_have_text("Claude Code · Haiku")


def test_without_a_machine_it_offers_to_connect_one_once(page, opened):
    local = made_up.section(*CLAUDE, state="unavailable", reason="No machine is connected.")
    local.machine = None
    opened(made_up.chat(local, machine=None))

    page.locator("#agent-menu").get_by_role("button", name="Connect your desktop").click()

    expect(page.locator("#connect")).to_be_visible()
    expect(page.locator("#agent-menu")).to_be_hidden()


def test_without_script_it_opens_beside_its_button_and_can_be_sent(browser, server):
    server.chat = made_up.chat(*sections(), **machines())
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server.url}/home/")
    page.locator("#agent-pill").click()
    page.get_by_text("Opus", exact=True).click()
    page.get_by_text("birch", exact=True).click()

    menu, pill = (
        page.locator("#agent-menu").bounding_box(),
        page.locator("#agent-pill").bounding_box(),
    )
    assert menu["y"] + menu["height"] <= pill["y"]
    with page.expect_request("**/home/choose") as asked:
        page.get_by_role("button", name="Use this agent").click()
    assert asked.value.method == "POST"
    sent = asked.value.post_data
    assert "choice=claude-code%3Athinking" in sent
    assert f"machine={BIRCH}" in sent
    assert "next=" in sent
    context.close()


def test_before_sending_the_page_says_what_an_agent_lacks_at_a_level(page, server, opened):
    agents = [
        made_up.section(*CLAUDE),
        made_up.section(
            *("acp:vibe", "Mistral Vibe", ("Alpha", "Beta", "Gamma")),
            missing_levels={"plan": "Mistral Vibe has no mode in which it changes nothing."},
            level_notes={"readonly": "Mistral Vibe works slowly here."},
        ),
    ]
    opened(made_up.chat(*agents))
    note, plan = page.locator("#level-note"), page.locator("#level option[value=plan]")
    page.locator("#level").select_option("plan")
    expect(note).to_be_hidden()

    page.locator("[value='acp:vibe:smart']").check(force=True)

    expect(note).to_have_text(
        "Mistral Vibe has no mode in which it changes nothing."
        " Choose another level, or another agent."
    )
    expect(plan).to_be_disabled()
    page.locator("#level").select_option("readonly")
    expect(note).to_have_text("Mistral Vibe works slowly here.")
    page.locator("#level").select_option("auto")
    expect(note).to_be_hidden()


@pytest.fixture
def offered(opened):
    """The popover of an agent that lists models and efforts of its own."""
    opened(made_up.chat(made_up.section(*CLAUDE, offer=OFFER), made_up.section(*DEMO)))


def test_a_model_of_the_programs_own_goes_with_the_message(page, server, offered):
    page.locator(".more__head").click()
    page.get_by_text("Fable", exact=True).click()

    expect(page.locator("#agent-pill")).to_have_text("Claude Code · Fable")
    body = send(page, server)
    assert (body["harnessId"], body["tier"], body["model"]) == ("claude-code", "smart", "fable")


def test_an_effort_goes_with_the_message_and_stands_in_the_pill(page, server, offered):
    page.get_by_label("Effort").select_option("Max")

    expect(page.locator("#agent-pill")).to_have_text("Claude Code · Sonnet · Max")
    page.keyboard.press("Escape")
    body = send(page, server)
    assert (body["tier"], body["model"], body["effort"]) == ("smart", "", "max")


def test_only_the_efforts_of_the_chosen_model_are_offered(page, offered):
    page.get_by_label("Effort").select_option("Max")
    page.locator(".more__head").click()
    page.locator("[value*='opus']").evaluate("node => node.click()")

    shown = page.get_by_label("Effort").locator("option:not([disabled])")
    assert shown.all_inner_texts() == ["Default", "Low", "High"]
    expect(page.get_by_label("Effort")).to_have_value("")


def test_an_agent_without_efforts_shows_none(page, offered):
    page.locator("#tier-demo-smart input").evaluate("node => node.click()")

    expect(page.locator(".effort:visible")).to_have_count(0)
