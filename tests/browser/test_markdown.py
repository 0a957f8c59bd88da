"""What an agent writes is untrusted, comes piece by piece, and is read while it comes."""

import pytest

from tests.browser import made_up

RENDER = """async ([text, steps]) => {
  const { Markdown } = await import("/static/mesh/markdown.js");
  const root = document.createElement("div");
  const markdown = new Markdown(root);
  for (const end of steps) markdown.update(text.slice(0, end), false);
  markdown.update(text, true);
  return root.innerHTML;
}"""


@pytest.fixture
def rendered(page, server):
    """Return ``rendered(text, steps)``: the HTML after the text came in these steps."""
    page.goto(f"{server.url}/home/")
    return lambda text, steps=(): page.evaluate(RENDER, [text, list(steps)])


@pytest.mark.parametrize(
    "evil",
    [
        "<script>window.hacked = 1</script>",
        "<img src=x onerror='window.hacked = 1'>",
        "[click](javascript:window.hacked=1)",
        "[click](data:text/html,<script>window.hacked=1</script>)",
        "<a href='javascript:window.hacked=1'>click</a>",
        "![x](javascript:window.hacked=1)",
        "```html\n<script>window.hacked = 1</script>\n```",
        '```"><script>window.hacked=1</script>\nx\n```',
        "<svg><script>window.hacked = 1</script></svg>",
    ],
)
def test_nothing_in_it_runs(page, server, evil):
    server.add_thread(messages=[made_up.mine("hi"), made_up.answer(made_up.text(evil))])
    page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
    page.locator(".message--answer .prose").wait_for()

    assert page.locator(".message--answer").locator("script, img, [onerror]").count() == 0
    links = page.locator(".message--answer a").evaluate_all("links => links.map(a => a.protocol)")
    assert set(links) <= {"http:", "https:"}
    assert page.evaluate("window.hacked") is None


def test_a_picture_from_afar_is_a_link_and_is_not_fetched(rendered):
    html = rendered("![a chart](https://example.org/chart.png)")

    assert "<img" not in html
    assert 'href="https://example.org/chart.png"' in html


def test_links_open_beside_and_tell_nobody_where_they_stood(rendered):
    html = rendered("[a](https://example.org)")

    assert 'target="_blank"' in html
    assert 'rel="noopener noreferrer nofollow"' in html


@pytest.mark.parametrize(
    "address",
    [
        "/api/home/vm/default/main/config",
        "../../api/links",
        "api/x",
        "?x",
        "#x",
        "//{host}/api/links",
        "http://{host}/api/links",
        "/%61pi/links",
        "\\api\\links",
    ],
)
@pytest.mark.parametrize("mark", ["", "!"], ids=["link", "picture"])
def test_no_link_leads_into_mesh(page, rendered, address, mark):
    address = address.replace("{host}", page.evaluate("location.host") or "localhost")
    html = rendered(f"{mark}[words]({address})")

    assert "<a" not in html
    assert "words" in html


@pytest.mark.parametrize("width", [1, 3, 17])
def test_piece_by_piece_gives_the_same_as_at_once(rendered, width):
    text = (
        made_up.PROSE
        + "\n- a\n\n  more of a\n- b\n\n1. x\n\n---\n\nSee [the end].\n\n[the end]: https://e.org\n"
    )
    steps = range(width, len(text), width)

    assert rendered(text, steps) == rendered(text)


def test_a_finished_block_is_never_touched_again(page, server):
    page.goto(f"{server.url}/home/")
    same = page.evaluate("""async () => {
      const { Markdown } = await import("/static/mesh/markdown.js");
      const root = document.createElement("div");
      const markdown = new Markdown(root);
      markdown.update("# One\\n\\nTwo *three*\\n\\nFour", false);
      const before = [...root.children];
      markdown.update("# One\\n\\nTwo *three*\\n\\nFour and **five** and\\n\\nsix", false);
      return before.map((node, index) => node === root.children[index]);
    }""")

    assert same == [True, True, True]


def test_selected_text_stays_selected_while_more_comes(page, server):
    server.add_thread()
    page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
    server.wait_until_followed()
    server.say(*made_up.begin(), made_up.delta("The quick brown fox"))
    page.get_by_text("The quick brown fox").wait_for()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.prose p'))")

    server.say(made_up.delta(" jumps.\n\nAnd more **comes** after it."))
    page.get_by_text("comes", exact=True).wait_for()

    assert page.evaluate("getSelection().toString()").startswith("The quick brown fox")


def test_code_gets_its_colours_later_and_from_a_file_that_is_fetched_only_then(page, server):
    fetched = []
    page.on("request", lambda request: fetched.append(request.url))
    server.add_thread(messages=[made_up.mine("hi"), made_up.answer(made_up.text("no code"))])
    page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
    page.get_by_text("no code").wait_for()
    assert not any("highlight" in url for url in fetched)

    server.say(*made_up.begin(), made_up.delta("```python\nreturn 1\n```\n"), *made_up.end())

    page.locator(".hljs-keyword").wait_for()
    assert page.locator(".code code").text_content() == "return 1\n"


def test_of_a_very_long_text_the_beginning_is_shown_plainly_until_all_is_asked_for(page, server):
    long = made_up.text("**x** " * 100_000)
    server.add_thread(messages=[made_up.mine("hi"), made_up.answer(long)])
    page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
    assert len(page.locator(".plain").text_content()) == 200_000

    page.get_by_role("button", name="Show all (600 kB)").click()

    assert page.locator(".plain").text_content() == long["text"]
    assert page.locator(".plain strong").count() == 0
