"""An option that takes one value and is given two is an error, whichever command it is of."""

import click
import pytest
from click.testing import CliRunner

from pipeline.cli.main import prep


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ("sample s --strength 0.5 --strength 1", "--strength"),
        ("train s --rank 4 --rank 8", "--rank"),
        ("train s --network_dim 4 --network_dim 8", "--network_dim"),
        ("check s --min-side 4 --min-side=8", "--min-side"),
        ("flatten a s --repeats-in-names --no-repeats-in-names", "--repeats-in-names"),
        ("tags list s --limit 1 --limit 2", "--limit"),
        ("adapter resize f o --rank 4 --rank 8", "--rank"),
        ("diff s --limit 1 --limit 2", "--limit"),
    ],
)
def test_an_option_given_twice_is_an_error(args, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.UsageError, match=f"{name} is given 2 times; it takes one value"):
        CliRunner().invoke(prep, args.split(), standalone_mode=False, catch_exceptions=False)


def test_options_of_several_values_and_switches_may_be_given_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for args in ("check s --keep a --keep b --dry-run --dry-run", "curate s --rename a=b --rename c=d"):
        with pytest.raises(Exception) as caught:
            CliRunner().invoke(prep, args.split(), standalone_mode=False, catch_exceptions=False)
        assert "it takes one value" not in str(caught.value)
