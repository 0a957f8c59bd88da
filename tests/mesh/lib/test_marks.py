"""What is marked in a command or a name, what in words, and what people write that is neither."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.marks import ALIKE, MARK, exact, exact_text, meaning_of, readable, readable_text

ODD = [
    pytest.param("a\u202eb", "a⟨U+202E⟩b", id="text turned around"),
    pytest.param("a\u2066b", "a⟨U+2066⟩b", id="text set apart"),
    pytest.param("a\u200bb", "a⟨U+200B⟩b", id="a space of no width"),
    pytest.param("a\u2060b", "a⟨U+2060⟩b", id="a word joiner"),
    pytest.param("a\u2028b", "a⟨U+2028⟩b", id="a line separator"),
    pytest.param("a\U000e0041b", "a⟨U+E0041⟩b", id="a tag"),
    pytest.param("a\x1bb", "a⟨U+001B⟩b", id="an escape"),
    pytest.param("a\rb", "a⟨U+000D⟩b", id="back to the margin"),
    pytest.param("a\ufe0fb", "a⟨U+FE0F⟩b", id="a variant of no picture"),
    pytest.param("❤\ufe0f\ufe01\ufe02", "❤\ufe0f⟨U+FE01⟩⟨U+FE02⟩", id="bytes after a picture"),
    pytest.param("a\u200db", "a⟨U+200D⟩b", id="a joiner between Latin letters"),
    pytest.param("می\u200c\u200cخ", "می⟨U+200C⟩⟨U+200C⟩خ", id="two joiners"),
    pytest.param("a\u200fb", "a⟨U+200F⟩b", id="a direction mark without need"),
    pytest.param("🏴\U000e0075\U000e007f", "🏴⟨U+E0075⟩⟨U+E007F⟩", id="a flag of nowhere"),
    pytest.param("a" + " " * 120 + "b", "a ⟨120 spaces⟩ b", id="what follows pushed away"),
]

# What people write.
PROPER = [
    pytest.param("می\u200cخواهم بروم", id="Persian"),
    pytest.param("مرحبا بالعالم، ١٢٣", id="Arabic"),
    pytest.param("שלום עולם!", id="Hebrew"),
    pytest.param("क्\u200dष र\u200d्य ശ്രീ\u200c", id="Indic joiners"),
    pytest.param("👩\u200d💻 ❤\ufe0f 👁\ufe0f\u200d🗨\ufe0f 👍🏽 1\ufe0f\u20e3 ☎\ufe0e", id="emoji"),
    pytest.param("🇩🇪 🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", id="flags"),
    pytest.param("葛\U000e0100城 が", id="a Japanese name"),
    pytest.param("Привет, мир: «а с нами и ты»", id="Russian"),
    pytest.param("файл.txt, отчёт_2024.csv", id="Russian names"),
    pytest.param("Καλημέρα, κόσμε", id="Greek"),
    pytest.param("3 μs, ΔT, λx, naïve, Übergröße, Łódź", id="formulas and accents"),
    pytest.param("中文，日本語。한국어\u3000です\n\u3000\u3000第Ⅰ章", id="East Asia"),
    pytest.param("Tune α, ρ and ν; χ² of Ⅴ", id="letters of mathematics"),
    pytest.param("a\tb\n  c – “d” … € ½", id="plain"),
]

DISGUISED = [
    pytest.param("pаypal.com", "p⟨а U+0430⟩ypal.com", id="a Cyrillic letter in a word"),
    pytest.param("gοοgle.com", "g⟨ο U+03BF⟩⟨ο U+03BF⟩gle.com", id="Greek letters in a word"),
    pytest.param("ср a b", "⟨с U+0441⟩⟨р U+0440⟩ a b", id="a word that looks like cp"),
    pytest.param("ls; ср файл", "ls; ⟨с U+0441⟩⟨р U+0440⟩ файл", id="before a Russian word"),
    pytest.param("a∕b", "a⟨∕ U+2215⟩b", id="another slash"),
    pytest.param("ls\u037e", "ls⟨\u037e U+037E⟩", id="a Greek question mark"),
    pytest.param("rm ‐rf", "rm ⟨‐ U+2010⟩rf", id="another hyphen"),
    pytest.param("𝚛m", "⟨𝚛 U+1D69B⟩m", id="a letter of formulas"),
    pytest.param("rm\u00a0x", "rm⟨U+00A0⟩x", id="a space that breaks no line"),
    pytest.param("rm\u3000x", "rm⟨U+3000⟩x", id="a wide space"),
    pytest.param("νρ", "⟨ν U+03BD⟩⟨ρ U+03C1⟩", id="Greek letters that are a word"),
    pytest.param("שלום\u200f", "שלום⟨U+200F⟩", id="a direction mark"),
    pytest.param("ไทย\u200bดี", "ไทย⟨U+200B⟩ดี", id="a place where Thai may break"),
]


@pytest.mark.parametrize(("text", "shown"), ODD)
def test_what_nobody_sees_is_marked_everywhere(text, shown):
    assert (exact(text), readable(text)) == (shown, shown)


@pytest.mark.parametrize("text", PROPER)
def test_what_people_write_is_marked_nowhere(text):
    assert (exact(text), readable(text)) == (text, text)


@pytest.mark.parametrize(("text", "shown"), DISGUISED)
def test_what_a_machine_takes_literally_shows_more_than_words_do(text, shown):
    assert (exact(text), readable(text)) == (shown, text)


@given(st.text())
def test_marking_takes_nothing_away_that_was_seen(text):
    back = MARK.sub(lambda mark: chr(int(mark[1], 16)), exact(text))

    assert back == text or "⟨" in text or " " * 100 in text or "\n" * 30 in text


@given(st.text())
def test_what_is_marked_is_marked_once(text):
    assert exact(exact(text)) == exact(text)
    assert readable(readable(text)) == readable(text)


@pytest.mark.parametrize("mark", [readable, exact])
def test_a_long_text_is_marked_in_time_that_grows_as_it_does(mark):
    assert len(mark("а " * 100_000 + "\u202e")) >= 200_000


def test_only_a_text_that_runs_backwards_is_isolated():
    assert exact_text("Clean up") == readable_text("Clean up") == "Clean up"
    assert readable_text("שלום") == "\u2068שלום\u2069"  # by its first letter
    assert exact_text("/שלום") == "\u2066/שלום\u2069"  # a path runs from left to right


def test_a_mark_says_what_it_stands_for():
    assert "direction" in meaning_of("202E")
    assert "“a”" in meaning_of("0430")
    assert meaning_of("200B") == "can’t be seen"
    assert meaning_of("FFFFFF")  # nobody wrote it, but an agent can


def test_no_letter_is_listed_twice():
    letters = [pair[0] for pair in ALIKE.split()]

    assert len(letters) == len(set(letters))
