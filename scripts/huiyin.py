"""回音 huiyin: the command line of the case ledger."""

from __future__ import annotations

import sys

import click
import msgspec

from domain.calendar import CalendarError
from domain.policy import PolicyError
from domain.refusals import Refusal
from scripts import lawbook, wiring


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def huiyin() -> None:
    """回音: 12345热线办件账本。 The case ledger of a 12345 government hotline.

    Every registration, dispatch, signing, return, extension, reply and evaluation is an immutable event; what a case
    is now, and when it is due, is derived from them and explained.
    """


huiyin.add_command(lawbook.due_command)
huiyin.add_command(lawbook.policy_group)


def main() -> None:
    """Run the command line; errors that people can mend are sentences, not traces."""
    try:
        huiyin.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("已中止 aborted", err=True)
        sys.exit(130)
    except (Refusal, PolicyError, CalendarError, wiring.SettingError, msgspec.ValidationError) as error:
        click.echo(f"✗ {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
