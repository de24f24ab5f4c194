"""``daicho chats``: chat logs in the terminal."""

import typer

app = typer.Typer()
