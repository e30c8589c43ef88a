"""The README is fresh, and names every command and every option."""

import click
import pytest
from readme import README, fresh_readme

import kscale
from kscale.cli import COMMANDS, load_command


def test_generated_blocks_are_fresh() -> None:
    text = README.read_text()
    assert fresh_readme(text) == text


def test_it_is_read_in_a_quarter_of_an_hour() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 300
    assert any("kscale export" in line for line in lines[:50])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_stands_in_the_readme(name: str) -> None:
    text = README.read_text()
    assert f"kscale {name}" in text
    for option in load_command(name).params:
        if isinstance(option, click.Option):
            assert any(f"`{word}" in text for word in option.opts), option.opts


def test_the_table_says_of_each_command_what_its_help_begins_with() -> None:
    for name, text in COMMANDS.items():
        command = load_command(name)
        assert command.get_short_help_str(200).startswith(text.rstrip("."))


def test_every_option_has_help_that_says_what_it_does() -> None:
    for command in map(load_command, COMMANDS):
        assert command.help
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, (command.name, option.name)


def test_names_of_the_python_example_exist() -> None:
    example = README.read_text().split("```python\n")[1].split("```")[0]
    assert "kscale.tune(" in example
    for line in example.splitlines():
        for word in line.replace("(", " ").split():
            if word.startswith("kscale."):
                assert word.removeprefix("kscale.").split(".")[0] in kscale.__all__
