"""The option `--prefer`: which format of a model a command takes, for once."""

from argparse import ArgumentParser, Namespace
from typing import get_args

from app.session.session import Session
from runtime.planning.format_choice import Wish


def add_wish(command: ArgumentParser) -> None:
    """Add the option; without it, the setting applies."""
    text = (
        "which format to take: balanced loses no more than the usual 4-bit format, fast gives up"
        " some quality, faithful keeps the most (default: the setting, else balanced)"
    )
    command.add_argument("--prefer", choices=get_args(Wish), help=text)


def use_wish(session: Session, args: Namespace) -> None:
    """Let the option take the setting's place in this process."""
    if args.prefer is not None:
        session.settings = session.settings.with_value("prefer", args.prefer)
