"""``daicho guilds``: guilds in the terminal."""

import typer

from daicho.core.language import say

app = typer.Typer(
    help=say("Discord guilds: tickets, logs, music.", "Discord サーバー: チケット、ログ、音楽。"),
    no_args_is_help=True,
)


@app.callback()
def guilds() -> None:
    pass
