"""What a person says of their own agents is read strictly."""

import pytest

from links.daemon.config import Agent
from links.daemon.named_agents import read_agents, split

GOOSE = "goose=goose acp"


def test_variables_are_added_to_the_agent_of_the_name():
    given = ["goose=MY_KEY,OTHER", "goose=MY_KEY, THIRD"]

    assert read_agents([GOOSE, "b=b"], given) == (
        Agent("goose", ("goose", "acp"), ("MY_KEY", "OTHER", "THIRD")),
        Agent("b", ("b",)),
    )


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        pytest.param("goose=MESH_SECRET_KEY", "'MESH_SECRET_KEY' can't be passed", id="ours"),
        pytest.param("goose=A,DATABASE_URL", "'DATABASE_URL' can't be passed", id="one of ours"),
        pytest.param("goose=REDIS_URL", "can't be passed", id="of Redis"),
        pytest.param("goose=DJANGO_X", "can't be passed", id="of Django"),
        pytest.param("goose=DECO_X", "can't be passed", id="of the link"),
        pytest.param("goose=A-B", "can't be passed", id="no name of a variable"),
        pytest.param("goose=AWS_*", "can't be passed", id="a pattern"),
        pytest.param("goose=A,,B", "can't be passed", id="an empty name"),
        pytest.param("goose", "can't be passed", id="no variable"),
        pytest.param("other=A", "no agent of this name is given: --acp", id="another name"),
        pytest.param("gemini=A", "no agent of this name is given: --acp", id="the catalog's"),
    ],
)
def test_wrong_variables_are_refused_in_one_sentence(variables, why):
    with pytest.raises(ValueError, match=r"^--acp-env .*" + why):
        read_agents([GOOSE], [variables])


def test_an_open_quote_is_named_with_its_option():
    with pytest.raises(ValueError, match="MESH_ACP goose='a: a quote is not closed"):
        read_agents(["goose='a"], options=("MESH_ACP", "MESH_ACP_ENV"))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param(" ; \n;", [], id="only separators"),
        pytest.param("goose=goose acp", ["goose=goose acp"], id="one"),
        pytest.param("a=b c;d=e; f=g\nh=i;", ["a=b c", "d=e", "f=g", "h=i"], id="many"),
        pytest.param("a='/my own/a;b' -x", ["a='/my own/a;b' -x"], id="quoted"),
        pytest.param("a=b #c", ["a=b '#c'"], id="no comments"),
        pytest.param("a=X,Y; b=Z", ["a=X,Y", "b=Z"], id="variables"),
        pytest.param("goose acp", ["goose acp"], id="what is no value is refused later"),
    ],
)
def test_a_variable_holds_several_values(text, values):
    assert split(text) == values
