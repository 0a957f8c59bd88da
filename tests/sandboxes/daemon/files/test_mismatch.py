"""Each reason why a text isn't found is named, with its line."""

from __future__ import annotations

import pytest

from sandboxes.daemon.files.mismatch import explain

TEXT = (
    "def f():\n"
    "\tx = 1\n"
    "    say(“hi”)\n"
    "cafe\u0301\n"
    "a\u00a0b\n"
    "foo\u200bbar\n"
    "if x:\n"
    "    y = 2\n"
    "    z = 3\n"
    "\ty  =  2"
)


@pytest.mark.parametrize(
    ("old", "why"),
    [
        pytest.param("    x = 1", "with other blanks at line 2.", id="a tab"),
        pytest.param("y = 2\nz", "with other blanks at line 8.", id="indentation"),
        pytest.param(" y = 2  ", "with other blanks at lines 8, 10.", id="two places"),
        pytest.param(
            'say("hi")',
            "with other quotes or dashes at line 3. The file has U+201C (left double quotation"
            " mark).",
            id="curly quotes",
        ),
        pytest.param("caf\xe9", "with letters composed otherwise at line 4.", id="composed"),
        pytest.param("a b", "spaces at line 5. The file has U+00A0 (no-break space).", id="space"),
        pytest.param("foobar", "with invisible characters at line 6.", id="zero width"),
        pytest.param("IF X:", "with other upper and lower case at line 7.", id="case"),
        pytest.param(
            'x = 1\nsay("hi")',
            "with other quotes or dashes and with other blanks at line 2.",
            id="two reasons",
        ),
        pytest.param(
            "if x:\n    y = 9\n    z = 3", "begins at line 7, but line 8 differs.", id="2nd"
        ),
        pytest.param("\ty  =  2\n\n", "at line 10, but the file ends", id="too long"),
        pytest.param("7\tif x:", "has the line numbers that read shows.", id="line numbers"),
        pytest.param("nothing of it", "", id="nowhere"),
        pytest.param("\n\n", "", id="blank"),
    ],
)
def test_the_reason(old, why):
    said = explain(TEXT, old)

    assert why in said
    assert bool(said) == bool(why)
