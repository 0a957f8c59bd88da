"""dom.js turns what is on the page into what the server sent, and takes nothing from a reader."""

import pytest

from tests.browser.scripted_server import ScriptedServer

SETUP = """async ([before, prepare, after, look]) => {
  const { morphChildren } = await import("/static/mesh/dom.js");
  const root = document.createElement("div");
  document.body.replaceChildren(root);
  root.innerHTML = before;
  const kept = [...root.querySelectorAll("*")];
  const $ = (selector) => root.querySelector(selector);
  eval(prepare);
  const fresh = document.createElement("div");
  fresh.innerHTML = after;
  morphChildren(root, fresh);
  return eval(look);
}"""
NODES = "[root.innerHTML, kept.filter((node) => node.isConnected).length]"


@pytest.fixture(scope="module")
def morphed(browser):
    """Return ``morphed(before, prepare, after, look)``: what ``look`` says after the change."""
    server = ScriptedServer().start()
    page = browser.new_page()
    blank = f"{server.url}/blank"  # an empty page without a policy, so that the tests may eval
    page.route(blank, lambda asked: asked.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto(blank)

    def run(before, prepare, after, look):
        return page.evaluate(SETUP, [before, prepare, after, look])

    yield run
    page.close()
    server.stop()


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        pytest.param("<p>a</p>", "<p>a</p>", 1, id="nothing"),
        pytest.param("<p class=x title=y>a</p>", '<p class="z">b</p>', 1, id="attributes and text"),
        pytest.param("<p>a</p>", "<h2>a</h2>", 0, id="another element"),
        pytest.param("a<b>c</b>", "<b>c</b>", 0, id="a text that is gone"),
        pytest.param("<p>a</p><p>b</p>", "<p>a</p>", 1, id="one less at the end"),
        pytest.param("<p>a</p>", "<p>a</p><p>b</p>", 1, id="one more at the end"),
        pytest.param(
            '<i id="a"></i><i id="b"></i><i id="c"></i>',
            '<i id="c"></i><i id="a"></i><i id="b"></i>',
            3,
            id="moved by name",
        ),
        pytest.param(
            '<i id="a"></i><i id="b"></i>', '<i id="n"></i><i id="b"></i>', 1, id="one for another"
        ),
        pytest.param("<i></i>", '<i id="a">1</i><i id="a">2</i>', 1, id="a name twice"),
        pytest.param('<i id="a">1</i>', '<i id="a">1</i><i id="a">2</i>', 1, id="twice, one known"),
        pytest.param("<ul><li>a</li></ul>", "", 0, id="all of it gone"),
    ],
)
def test_the_page_becomes_what_was_sent_and_keeps_what_it_can(morphed, before, after, kept):
    assert morphed(before, "", after, NODES) == [after, kept]


@pytest.mark.parametrize(
    ("before", "prepare", "after", "look"),
    [
        pytest.param(
            "<input>", "$('input').value = 'x'", "<input class=a>", "$('input').value", id="typed"
        ),
        pytest.param(
            "<textarea></textarea>",
            "$('textarea').value = 'x'",
            "<textarea></textarea><p>new</p>",
            "$('textarea').value",
            id="typed in an area",
        ),
        pytest.param(
            "<select><option selected>a<option>x</select>",
            "$('select').value = 'x'",
            "<select class=b><option selected>a<option>x</select>",
            "$('select').value",
            id="chosen",
        ),
        pytest.param(
            "<details>a</details>",
            "$('details').open = true",
            "<details>b</details>",
            "$('details').open ? 'x' : ''",
            id="opened",
        ),
        pytest.param(
            "<p>some words</p>",
            "getSelection().setBaseAndExtent($('p').firstChild, 0, $('p').firstChild, 4)",
            "<p>some words and more</p>",
            "getSelection().toString() === 'some' ? 'x' : ''",
            id="selected while it grows",
        ),
        pytest.param(
            '<b id="a"><input></b><b id="c"></b>',
            "$('input').focus()",
            '<b id="n"></b><b id="c"></b><b id="a"><input></b>',
            "document.activeElement === kept[1] ? 'x' : ''",
            id="focused in a row that moves",
        ),
        pytest.param(
            '<div id="m" popover>a</div>',
            "$('#m').showPopover()",
            '<p>new</p><div id="m" popover>b</div>',
            "$('#m').matches(':popover-open') ? 'x' : ''",
            id="a menu that is open",
        ),
    ],
)
def test_what_a_reader_did_stays(morphed, before, prepare, after, look):
    assert morphed(before, prepare, after, look) == "x"


def test_the_server_decides_which_radio_is_picked(morphed):
    before = "<input type=radio name=n value=a checked><input type=radio name=n value=b>"
    after = "<input type=radio name=n value=a><input type=radio name=n value=b checked>"

    assert morphed(before, "", after, "$(':checked').value") == "b"
