"""`bourse accounts`: the kill switch, for one account or for all of a participant.

It publishes the accounts as they were last published, with another status, and participants by their own record, which
holds for accounts that open later too. An account trades while both it and its participant are active: its live orders
are cancelled, and new ones refused, from when one of them is suspended until both are reinstated.
"""

from typing import Annotated

import typer
from confluent_kafka import Message
from msgspec.structs import replace

from bourse.cli.console import counted, out
from bourse.cli.errors import CliError
from bourse.cli.kafka import admin_client, require_kafka
from bourse.cli.sender import Sender
from bourse.cli.tail import Follower, places_of, starts_of
from bourse.cli.wire import Wire
from bourse.pipeline.outputs import Topic
from bourse.schemas.records import Account, AccountStatus, Participant
from bourse.settings import Settings

app = typer.Typer(help="Who may trade: the kill switch.", no_args_is_help=True)

AccountIds = Annotated[list[str] | None, typer.Option("--account", help="An account; may be repeated.")]
Participants = Annotated[
    list[str] | None,
    typer.Option("--participant", help="All accounts of a participant, later ones too; may be repeated."),
]


@app.callback()
def accounts() -> None:
    """Stop accounts from trading, and let them trade again."""


@app.command()
def suspend(account: AccountIds = None, participant: Participants = None) -> None:
    """Cancel all live orders of accounts, and refuse new ones."""
    _publish(account or [], participant or [], AccountStatus.SUSPENDED)


@app.command()
def reinstate(account: AccountIds = None, participant: Participants = None) -> None:
    """Let suspended accounts trade again."""
    _publish(account or [], participant or [], AccountStatus.ACTIVE)


def _publish(account_ids: list[str], participants: list[str], status: AccountStatus) -> None:
    known = list(_known(Settings.read()).values())
    meant = [
        account
        for account in known
        if account.account_id in account_ids and account.status not in {status, AccountStatus.CLOSED}
    ]
    if not meant and not participants:
        msg = f"No account that is meant can become {status}."
        raise CliError(msg, "`bourse tail accounts --from-start --until-idle 1` shows every account.")
    if meant:
        Sender(Topic.ACCOUNTS).send(*(replace(account, status=status) for account in meant))
        out.print(f"Published {counted(len(meant), 'account')} as {status}.")
    for participant_id in participants:
        Sender(Topic.PARTICIPANTS).send(Participant(participant_id, status))
        own = sum(account.participant_id == participant_id for account in known)
        out.print(
            f"Published participant {participant_id} as {status}: {counted(own, 'account')} now, and later ones."
        )


def _known(settings: Settings) -> dict[str, Account]:
    """Return every account as it was last published."""
    admin = admin_client(settings.broker)
    require_kafka(admin, settings)
    wire = Wire(settings)
    known: dict[str, Account] = {}

    def learn(messages: list[Message]) -> None:
        for message in messages:
            record = wire.decode(Topic.ACCOUNTS, message.value())
            if isinstance(record, Account):
                known[record.account_id] = record

    follower = Follower(
        settings, starts_of(admin, settings, places_of(admin, settings, [Topic.ACCOUNTS]), from_start=True)
    )
    try:
        follower.follow(learn, until_idle_seconds=0)
    finally:
        follower.close()
    return known
