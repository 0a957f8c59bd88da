"""terminal.js shows what a program wrote for a terminal, and makes no HTML of it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.browser.scripted_server import ScriptedServer

READ = """async (text) => {
  const { rowsOf, textOfRows, paintRows } = await import("/static/mesh/terminal.js");
  const rows = rowsOf(text);
  const root = document.createElement("pre");
  root.append(...paintRows(rows));
  const styles = [...root.querySelectorAll("span")].map((node) => [
    node.textContent, node.className, node.getAttribute("style") ?? ""]);
  const names = [...root.querySelectorAll("*")].map((node) => node.nodeName.toLowerCase());
  return { plain: textOfRows(rows), shown: root.textContent, styles, names };
}"""


@pytest.fixture(scope="module")
def draw(browser):
    server = ScriptedServer().start()
    page = browser.new_page()
    page.goto(f"{server.url}/home/")
    yield lambda text: page.evaluate(READ, text)
    page.close()
    server.stop()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a\nb\n", "a\nb\n", id="plain"),
        pytest.param("a\r\nb\r\n", "a\nb\n", id="line ends of Windows"),
        pytest.param("10 %\r20 %\r100 %\n", "100 %\n", id="a progress bar"),
        pytest.param("long line\rshort", "shortline", id="a shorter line over a longer one"),
        pytest.param("long line\r\x1b[Kshort", "short", id="an erased line"),
        pytest.param("ab\bc", "ac", id="a backspace"),
        pytest.param("one\ntwo\n\x1b[2A\x1b[2Kuno\n", "uno\ntwo\n", id="the cursor goes up"),
        pytest.param("a\x1b[5Cb", "a     b", id="and to the right"),
        pytest.param("\x1b]0;title\x07text", "text", id="a title"),
        pytest.param("\x1b]8;;https://x.example\x1b\\link\x1b]8;;\x1b\\", "link", id="a link"),
        pytest.param("\x1b[?25lhidden cursor\x1b[?25h", "hidden cursor", id="private modes"),
        pytest.param("bell\x07 nul\x00", "bell⟨U+0007⟩ nul⟨U+0000⟩", id="control characters"),
        pytest.param("a\u202eb", "a⟨U+202E⟩b", id="a direction mark"),
        pytest.param("cut \x1b[3", "cut ", id="a sequence that is cut"),
        pytest.param("\x1b[8mconcealed", "concealed", id="text that hides itself"),
        pytest.param("first\x1b[2J\x1b[Hsecond", "first\nsecond", id="a cleared screen"),
        pytest.param("<b onclick=x>&amp;</b>\x1b[1m<i>", "<b onclick=x>&amp;</b><i>", id="HTML"),
    ],
)
def test_a_text_is_shown_as_by_a_terminal(draw, text, shown):
    assert draw(text)["shown"] == shown


@pytest.mark.parametrize(
    ("code", "name", "style"),
    [
        ("31", "ansi-1", ""),
        ("92", "ansi-10", ""),
        ("1;4", "ansi-bold ansi-underline", ""),
        ("7", "ansi-swapped", ""),
        ("38;5;208", "ansi-own", "--ansi: rgb(255 135 0);"),
        ("38;2;1;2;3", "ansi-own", "--ansi: rgb(1 2 3);"),
        ("38:2::1:2:3", "ansi-own", "--ansi: rgb(1 2 3);"),
        ("41", "", "background: rgb(187, 0, 0); color: rgb(255, 255, 255);"),
        ("30;40", "", "background: rgb(0, 0, 0); color: rgb(255, 255, 255);"),
    ],
)
def test_colours_and_weights_are_kept(draw, code, name, style):
    assert draw(f"\x1b[{code}mx\x1b[0my")["styles"] == [["x", name, style]]


TERMINAL = st.text(
    st.one_of(st.sampled_from("\x1b[]0123456789;:mKGAJH\r\n\b\x07<>&\"'a "), st.characters())
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TERMINAL)
def test_no_text_becomes_an_element(draw, text):
    assert set(draw(text)["names"]) <= {"span"}
