"""What dom.js marks is what mesh/lib/marks.py marks: one table, written down on both sides."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh.lib import marks
from tests.browser.scripted_server import ScriptedServer
from tests.mesh.lib.test_marks import DISGUISED, ODD, PROPER

MARK = """async (texts) => {
  const dom = await import("/static/mesh/dom.js");
  return texts.map((text) => {
    const node = dom.asName(text);
    return {
      exact: dom.visible(text),
      readable: dom.readable(text),
      texts: [dom.visibleText(text), dom.readableText(text)],
      html: node.outerHTML,
      same: node.textContent === dom.visible(text),
    };
  });
}"""
TABLES = """async () => {
  const { TABLE, ALIKE, ALIKE_SIGNS } = await import("/static/mesh/dom.js");
  return [TABLE, ALIKE, ALIKE_SIGNS];
}"""
# Of each character that a rule names, and of what may stand beside it.
SIGNS = sorted(
    {
        *(sign for each in (*ODD, *PROPER, *DISGUISED) for sign in each.values[0]),
        *(pair[0] for pair in (*marks.ALIKE.split(), *marks.ALIKE_SIGNS.split())),
        *"ab1 ,.'\"«/\u180e\u1820\u180b\u0301",
    }
)
TEXTS = st.text(st.one_of(st.sampled_from(SIGNS), st.characters(codec="utf-8")), max_size=30)


@pytest.fixture(scope="module")
def page_of_marks(browser):
    server = ScriptedServer().start()
    page = browser.new_page()
    page.goto(f"{server.url}/home/")
    yield page
    page.close()
    server.stop()


def test_page_and_templates_have_one_table(page_of_marks):
    assert page_of_marks.evaluate(TABLES) == [dict(marks.TABLE), marks.ALIKE, marks.ALIKE_SIGNS]


@given(texts=st.lists(TEXTS, min_size=20, max_size=60))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_page_and_templates_mark_alike(page_of_marks, texts):
    from mesh.pages.templatetags import page

    texts = [text.replace("\0", "") for text in texts]
    for text, found in zip(texts, page_of_marks.evaluate(MARK, texts), strict=True):
        assert found["exact"] == marks.exact(text)
        assert found["readable"] == marks.readable(text)
        assert found["texts"] == [marks.exact_text(text), marks.readable_text(text)]
        assert found["same"]
        plain = found["html"].replace("\u00a0", "&nbsp;")
        assert "&nbsp;" not in plain  # each is marked
        if not found["exact"].isascii() and not set("&<>\"'") & set(text):
            assert found["html"] == page.exact(text)
