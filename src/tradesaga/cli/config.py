"""`tradesaga config`: what is in force and where it comes from; whether a file is fit for use."""

from __future__ import annotations

import json
from typing import Final

from cyclopts import App

from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import ConfigFile, Output
from tradesaga.config import as_json, load, process_environment, render

settings: Final = App(name="config", help="Show or check the configuration.")


@settings.command
def show(*, config: ConfigFile = None, output: Output = "text") -> int:
    """Print every value with where it comes from; secrets are masked.

    Parameters
    ----------
    config
        The YAML file; without it defaults and environment.
    output
        Text for people or JSON for programs.
    """
    loaded = load(config, process_environment())
    text = render(loaded) if output == "text" else json.dumps(as_json(loaded), indent=2) + "\n"
    print(text, end="")
    return ExitCode.OK


@settings.command
def validate(*, config: ConfigFile = None, output: Output = "text") -> int:
    """Check the configuration: every problem is named with its remedy, exit code 2.

    Parameters
    ----------
    config
        The YAML file; without it defaults and environment.
    output
        Text for people or JSON for programs.
    """
    loaded = load(config, process_environment())
    if output == "json":
        print(json.dumps({"valid": True, "hash": loaded.hash}))
    else:
        print(f"the configuration is fit for use, hash {loaded.hash}")
    return ExitCode.OK
