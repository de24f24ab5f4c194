"""The doctor's look at what is beside the database: a folder, a bucket, DynamoDB."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from functools import partial

from daicho.core.errors import Invalid
from daicho.core.language import Text
from daicho.core.settings import Settings
from daicho.ledger import Ledger
from daicho.ops.findings import GB, MB, Ask, Finding, State, ok, room_on


def places(settings: Settings) -> Sequence[tuple[str, Ask]]:
    """The checks of the places that the settings name."""
    checks: list[tuple[str, Ask]] = [("contexts", partial(_contexts, settings))]
    if settings.members.source:
        checks.append(("members", partial(_members, settings)))
    if settings.chats.backend == "dynamodb":
        checks.append(("dynamodb", partial(_dynamodb, settings)))
    return checks


def _contexts(settings: Settings) -> Iterator[Finding]:
    folder = settings.context_storage.base_dir.absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            "contexts",
            State.FAIL,
            Text(
                f"tasks cannot keep their folders in {folder}", f"{folder} にタスクのフォルダーを作れません"
            ),
            Text(
                f"let who runs Daicho write to {there}, or set DAICHO_CONTEXTS",
                f"Daicho の実行ユーザーが {there} に書けるようにするか、DAICHO_CONTEXTS を変えてください",
            ),
        )
    elif there == folder:
        yield room_on("contexts", folder, fail=100 * MB, warn=GB, worst=State.WARN)
    else:
        yield ok("contexts", f"{folder} is made when first needed", f"{folder} は必要なときに作成されます")


def _members(settings: Settings) -> Iterator[Finding]:
    place = str(settings.members.source)
    try:
        from daicho.members.source import Source
    except ModuleNotFoundError as error:
        raise Invalid(
            f"members' files need {error.name}; run: pip install 'daicho[s3]'",
            f"メンバーのファイルには {error.name} が必要です。次を実行してください: pip install 'daicho[s3]'",
        ) from None
    source = Source(place, settings.storage)
    asyncio.run(source.has("human_members/daicho-doctor.yml"))
    yield ok("members", f"{source.base} answers", f"{source.base} が応答しました")


def _dynamodb(settings: Settings) -> Iterator[Finding]:
    with Ledger(settings=settings) as ledger:
        ledger.chats.sessions(limit=1)
    table = settings.chats.dynamodb.table
    yield ok("dynamodb", f"{table} answers", f"{table} が応答しました")
