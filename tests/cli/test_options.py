import click
import pytest
from click.testing import CliRunner

from latentmap.cli.data_options import data_options
from latentmap.cli.declaring import OUTPUT, Command, Group, option, output_option
from latentmap.cli.options import device_option, refuse_given
from latentmap.cli.view_options import view_options


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


def help_of(*options):
    @click.group(cls=Group)
    def group():
        pass

    def command(**_):
        """Do it."""

    for add in reversed(options):
        command = add(command)
    group.command("do")(command)
    return CliRunner().invoke(group, ["do", "--help"]).output


def sections(output):
    """The options under each title."""
    found, title = {}, ""
    for line in output.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            title = line
        elif line.startswith("  -"):
            found.setdefault(title, []).append(line.split()[0].rstrip(","))
    return found


def test_many_options_are_shown_under_their_titles():
    shown = sections(
        help_of(
            device_option,
            option("--codes-out", title=OUTPUT),
            click.option("--penalty"),
            data_options,
            output_option("--out", "The map."),
            view_options,
        )
    )
    assert list(shown) == ["Images:", "Method:", "Output:", "Running:"]
    assert {"--data", "--split", "--size"} <= {*shown["Images:"]}
    assert shown["Method:"] == ["--penalty"]
    assert shown["Output:"] == ["--codes-out", "--out"]
    assert shown["Running:"] == ["--device", "--help"]


def test_few_options_are_one_list():
    shown = sections(help_of(device_option, click.option("--penalty")))
    assert shown == {"Options:": ["--device", "--penalty", "--help"]}


def test_a_command_is_of_its_group_s_class():
    @click.group(cls=Group)
    def group():
        pass

    inner = group.group("inner")(lambda: None)
    assert isinstance(inner, Group)
    assert isinstance(inner.command("do")(lambda: None), Command)
