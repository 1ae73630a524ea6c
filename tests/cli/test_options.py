import click
import pytest
from click.testing import CliRunner

from latentmap.cli.options import refuse_given


def run(*words, names=("one", "other")):
    @click.command()
    @click.option("-o", "--one", default=1, envvar="LATENTMAP_ONE")
    @click.option("--other", is_flag=True)
    @click.pass_context
    def command(context, one, other):
        refuse_given(context, names, "today")

    return CliRunner().invoke(command, words, env={"LATENTMAP_ONE": "2"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "1"), "-o/--one has no effect today: leave it out"),
        (("--other", "--one", "1"), "-o/--one and --other have no effect today: leave them out"),
    ],
)
def test_what_is_given_is_refused_even_at_its_default(words, message):
    result = run(*words)
    assert result.exit_code == 2
    assert f"Error: {message}\n" in result.stderr


def test_what_is_not_given_for_this_command_is_let_through():
    assert run().exit_code == 0
    assert run("--other", names=["one"]).exit_code == 0


def test_a_misspelt_name_is_our_fault_whatever_was_given():
    assert isinstance(run(names=["onne"]).exception, KeyError)
