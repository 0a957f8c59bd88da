"""One table of the failures of all agents: what happened, by kind, in words for people.

A program tells a failure in its own way: by a status, by a name, or only in its words. An
adapter collects what there is; ``classify`` decides what it is called. The hint of each code is
in ``threads.core.run_errors``. No I/O, and no input raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from agents.harness.lines import as_object, object_of, printable, text_of
from mesh.agent_programs import not_signed_in

LIMIT: Final = 1_000  # characters of a provider's words that are quoted
# The next turn needs a new program, which reads its sign-in and its settings again. For any other
# failure the program, with its conversation, is as good as before.
SPOILING: Final = frozenset(
    {"agent_key_refused", "harness_failed", "harness_too_old", "model_unavailable", "not_signed_in"}
)
REFUSED: Final = "model_refused"
# Code → sentence; the program's or the provider's own words follow.
SENTENCES: Final[dict[str, str]] = {
    "agent_key_refused": "The model's provider refused the key or the sign-in of {title}.",
    "usage_limit": "The limit of the plan that {title} uses is reached.",
    "rate_limited": "The model's provider accepts no more requests from {title} for now.",
    "provider_overloaded": "The model's provider is overloaded.",
    "provider_failed": "The model's provider failed on its side.",
    "provider_unreachable": "{title} could not reach the model's provider.",
    "context_too_long": "This conversation is too long for the model.",
    "context_full": "This conversation is too long for the model; {title} shortens it when the"
    " message is sent again.",
    "model_refused": "The model refused to answer this.",
    "file_refused": "The model's provider refused a picture.",
    "model_unavailable": "The model is not available to this account.",
    "harness_too_old": "This version of {title} is too old.",
    "disk_full": "The disk of the machine is full.",
    "model_api_error": "The model's provider refused the request.",
    "harness_failed": "{title} stopped.",
}
CODES: Final = (*SENTENCES, "not_signed_in", "harness_crashed")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an agent: its name, how a person signs in, the model that the turn named,
    and whether it shortens a conversation by itself when the model finds it too long."""

    title: str
    sign_in: str = ""
    model: str = ""
    compacts: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed turn: ``code`` for programs, ``sentence`` for people. A program that it spoils
    must not serve another turn."""

    code: str
    sentence: str

    @property
    def spoils_program(self) -> bool:
        return self.code in SPOILING


# Names that programs and providers give to a failure, in small letters without separators.
_NAMES: Final[dict[str, str]] = {
    "authenticationfailed": "agent_key_refused",
    "authenticationerror": "agent_key_refused",
    "permissionerror": "agent_key_refused",
    "invalidapikey": "agent_key_refused",
    "authrequired": "not_signed_in",
    "unauthorized": "not_signed_in",
    "oauthorgnotallowed": "not_signed_in",
    "usagelimitexceeded": "usage_limit",
    "usagelimitreached": "usage_limit",
    "insufficientquota": "usage_limit",
    "billingerror": "usage_limit",
    "sessionbudgetexceeded": "usage_limit",
    "ratelimit": "rate_limited",
    "ratelimiterror": "rate_limited",
    "ratelimitexceeded": "rate_limited",
    "overloaded": "provider_overloaded",
    "overloadederror": "provider_overloaded",
    "serveroverloaded": "provider_overloaded",
    "contextwindowexceeded": "context_too_long",
    "contextoverflowerror": "context_too_long",
    "contextlengthexceeded": "context_too_long",
    "modelnotfound": "model_unavailable",
    "refusal": "model_refused",
    "cyberpolicy": "model_refused",
    "contentfilter": "model_refused",
    "sandboxerror": "harness_failed",
}
# Those that say less than a status, or than the words.
_VAGUE_NAMES: Final[dict[str, str]] = {
    "internalservererror": "provider_failed",
    "responsetoomanyfailedattempts": "provider_failed",
    "servererror": "provider_failed",
    "timeouterror": "provider_failed",
    "httpconnectionfailed": "provider_unreachable",
    "responsestreamconnectionfailed": "provider_unreachable",
    "responsestreamdisconnected": "provider_unreachable",
}
_STATUSES: Final[dict[int, str]] = {
    401: "agent_key_refused",
    402: "usage_limit",
    403: "agent_key_refused",
    413: "context_too_long",
    429: "rate_limited",
    503: "provider_overloaded",
    529: "provider_overloaded",
}


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_PLAN_LIMIT = _words(
    r"\b(usage|session|weekly|monthly|daily|5-hour|opus|sonnet|plan|spending) limit\b",
    r"\b(hit|reached) your [^.\n]{0,40}\blimit\b",
    r"exceeded your (current|monthly|daily) quota",
    r"insufficient_quota|credit balance is too low|out of (extra )?(usage|credits)",
    r"quota (exceeded|exhausted)|exhausted your (daily|monthly)? ?(quota|capacity)",
    r"no (premium requests|quota) left|exceeded your premium request",
)
_TOO_LONG = _words(
    r"prompt (is|as) too long|input is too long|context_length_exceeded|maximum context length",
    r"exceeds? (the|its|this model's) (context window|maximum number of tokens|maximum context)",
    r"context (window|length|limit) (is |was )?(exceeded|full)|ran out of room in the model",
    r"input token count [^.\n]{0,40}exceeds|conversation is too long|compaction[^.\n]{0,40}failed",
)
_SIGNED_OUT = _words(
    r"/login\b|not (logged|signed) in\b|(log|sign) in (first|again)\b|login required",
    r"authentication (is )?required|authenticate first|before starting a session",
    r"(missing|no) api key\b|api key is (missing|required|not)|api key (not found|missing)",
    r"set an? [A-Z_]{3,40}_API_KEY\b|could not resolve authentication",
)
_UNAVAILABLE = _words(
    r"model_not_found|model (?!provider\b)[^\n]{0,80}(does not exist|is not available|not found)",
    r"(not have|no) access to [^\n]{0,60}model|model [^\n]{0,80}is not supported",
    r"unknown model|invalid model( name| id)?\b|issue with the selected model",
)
_REFUSED = _words(
    r"usage policy", r"safeguards (stopped|blocked|flagged)", r"content.?(filter|policy)\b"
)
_FILE = _words(
    r"(could not|unable to) process (the |this |input )*image|invalid.{0,3}image",
    r"(unsupported|invalid|damaged|corrupt(ed)?) (image|picture)|image (is )?(invalid|not valid)",
    r"image (dimensions )?exceeds?|unsupported (mime|media).?type:? .?image|\bimage_url\b",
    r"not support (image|multimodal|vision)|support image input",
)
_TOO_OLD = _words(
    r"requires a newer version|version [^\n]{0,40}(is too old|no longer supported)",
    r"needs an update|please (update|upgrade) (codex|claude|copilot|gemini|to the latest)",
)
_DISK_FULL = _words(r"\bENOSPC\b", r"no space left on device", r"disk quota exceeded")
_UNREACHABLE = _words(
    r"\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)\b",
    r"stream (disconnected|closed) before",
    r"connection (error|refused|reset|lost|closed)|(fetch|connect|dns) (failed|error)",
    r"error sending request|name or service not known|could not resolve (host|proxy)",
    r"self.signed certificate|certificate (verify|has expired|is not)|unable to get local issuer",
    r"\bproxy (authentication|connection|error)\b|(unable|could not) (to )?connect|socket hang up",
    r"error decoding response body|reading a body from connection",
)
# Node's own words; Gemini CLI gives them the status 500.
_NOT_SENT = _words(r"\bTypeError: fetch failed\b")
_OVERLOADED = _words(r"\boverloaded\b")
_RATE = _words(r"rate.?limit|too many requests")
_KEY = _words(
    r"(invalid|incorrect|wrong|expired|revoked) (x-)?api.?key|invalid bearer token",
    r"api key not valid|user not found or key|authentication failed",
)
# What counts whatever the status is, then what counts only without one.
_FIRST: Final = (
    (_PLAN_LIMIT, "usage_limit"),
    (_TOO_LONG, "context_too_long"),
    (_FILE, "file_refused"),
    (_UNAVAILABLE, "model_unavailable"),
    (_TOO_OLD, "harness_too_old"),
    (_SIGNED_OUT, "not_signed_in"),
    (_NOT_SENT, "provider_unreachable"),
)
_THEN: Final = (
    (_DISK_FULL, "disk_full"),
    (_KEY, "agent_key_refused"),
    (_OVERLOADED, "provider_overloaded"),
    (_RATE, "rate_limited"),
    (_REFUSED, "model_refused"),
    (_UNREACHABLE, "provider_unreachable"),
)
_STATUS_SAID = re.compile(
    r"\b(?:status(?: code)?|HTTP|error(?: code)?)[ :=]{1,3}[(']?([45]\d\d)\b"
    r"|\b([45]\d\d) (?:status code|Unauthorized|Too Many Requests)"
    r"|\(([45]\d\d)\)|^([45]\d\d)\b",
    re.IGNORECASE | re.ASCII,
)


def classify(
    facts: Facts, *, words: str = "", status: Any = None, name: str = "", is_provider: bool = False
) -> Failure:
    """Return what a failure is called.

    ``words`` are those of the program or the provider, ``status`` is an HTTP status, ``name``
    what the program itself calls the failure. ``is_provider``: the program said that the
    model's provider failed, and not how.
    """
    words = plain(words)
    status = status if _is_status(status) else _status_in(words)
    code = _code_of(words, status, name)
    if not code:
        code = "model_api_error" if status is not None or is_provider else "harness_failed"
    if code == "context_too_long" and facts.compacts:
        code = "context_full"
    return Failure(code, _sentence(facts, code, words, status))


def crashed(title: str, code: int | None, stderr: str) -> Failure:
    """Return the failure of a program that ended in the middle of a turn."""
    how = f"with exit code {code}" if code is not None and code >= 0 else "by a signal"
    lines = _COLOUR.sub("", stderr).strip().splitlines()
    if any(_DISK_FULL.search(line) for line in lines[-20:]):
        return Failure("disk_full", f"The disk of the machine is full, so {title} ended {how}.")
    last = f" Its last words: {redact(lines[-1][:500])}" if lines else ""
    return Failure("harness_crashed", f"{title} ended {how} in the middle of the answer.{last}")


_COLOUR = re.compile(r"\x1b\[[\d;]*m")  # some programs colour their log without a terminal


def _code_of(words: str, status: int | None, name: str) -> str:
    plain_name = re.sub(r"[^a-z]", "", name.lower())
    named = _NAMES.get(plain_name, "")
    for pattern, code in _FIRST:
        # A name is more than a guess from words, except that a plan's limit comes as a 429 and
        # that its text tells people to /login for another account.
        if pattern.search(words) and (not named or code in ("usage_limit", "not_signed_in")):
            return code
    if named:
        return named
    if status is not None:
        # Also before "server_error", which some programs say of a 529.
        if status in _STATUSES:
            return _STATUSES[status]
        if status >= 500:
            return "provider_failed"
    guess = next((guess for pattern, guess in _THEN if pattern.search(words)), "")
    return guess or ("" if status is not None else _VAGUE_NAMES.get(plain_name, ""))


def _sentence(facts: Facts, code: str, words: str, status: int | None) -> str:
    if code == "not_signed_in":
        sentence = not_signed_in(facts.title, facts.sign_in)
        # The agent's own words name the command or the variable that is missing.
        own = "" if _SAYS_LITTLE.match(words) else words
        return f"{sentence} It says: {own}" if own else sentence
    sentence = SENTENCES[code].format(title=facts.title)
    if code == "model_unavailable" and facts.model:
        sentence = f"The model {facts.model} is not available to this account."
    said = f" It said: {_with_time(words)}" if words else ""
    named = f" (status {status})" if status is not None and str(status) not in words else ""
    return f"{sentence}{said}{named}"


_SAYS_LITTLE = re.compile(
    r"(authentication( is)? required|not (logged|signed) in(\W+please run /login)?"
    r"|no reason given)?\W*\Z",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"\|(\d{10})\b", re.ASCII)


def _with_time(words: str) -> str:
    """Return the words with a time in seconds, as some limits tell it, as people read it."""

    def told(found: re.Match[str]) -> str:
        return f", resets {datetime.fromtimestamp(int(found[1]), UTC):%Y-%m-%d %H:%M} UTC"

    return _EPOCH.sub(told, words)


def _is_status(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600


def _status_in(words: str) -> int | None:
    if found := _STATUS_SAID.search(words):
        return int(next(each for each in found.groups() if each))
    return None


def plain(words: str) -> str:
    """Return the provider's own message: unpacked, on one line, without keys, and shortened."""
    for _ in range(3):  # some pass on a body as the text of a body
        words = _unpacked(words)
    if _HTML.search(words[:200]):
        title = _TITLE.search(words[:20_000])
        words = str(title[1]) if title else "a page of HTML"
    text = " ".join(printable(redact(words[: LIMIT * 20])).split())
    return text if len(text) <= LIMIT else f"{text[:LIMIT]}…"


_HTML = re.compile(r"<!doctype html|<html", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,50}>([^<]{1,200})</title>", re.IGNORECASE)


def _unpacked(words: str) -> str:
    """Return the message in a JSON body, which may have other words before it."""
    start = words.find("{")
    if start < 0 or len(words) > 100_000:
        return words
    end = words.rfind("}") + 1
    body = as_object(words[start:end].encode(errors="replace"))
    if body is None:
        return words
    error = body.get("error")
    message = error if isinstance(error, str) else text_of(object_of(body, "error"), "message")
    message = message or text_of(body, "message") or text_of(body, "detail")
    if not message:
        return words
    before = words[:start].strip(" :-")
    return f"{before}: {message}" if before and before not in message else message


_SECRETS = (
    re.compile(r"\b(?:sk|pk|rk|xai|gsk|hf|fw|csk|pplx|nvapi)[-_][\w*-]{8,}", re.ASCII),
    re.compile(r"\bAIza[\w-]{10,}", re.ASCII),
    re.compile(r"\b(?:gh[pousr]|github_pat|glpat|xox[a-z])[-_][\w-]{8,}", re.ASCII),
    re.compile(r"\beyJ[\w-]{10,}(?:\.[\w-]+){0,2}", re.ASCII),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}", re.ASCII),
    re.compile(r"(?<=bearer )[\w.~+/=-]{8,}", re.ASCII | re.IGNORECASE),
    re.compile(r"(?<=key=)[^\s&\"']{6,}|(?<=token=)[^\s&\"']{6,}", re.IGNORECASE),
    re.compile(r"(?<=://)[^\s/@]{1,200}(?=@)"),
)


def redact(text: str) -> str:
    """Return ``text`` with "…" instead of what looks like a key."""
    for pattern in _SECRETS:
        text = pattern.sub("…", text)
    return text
