"""What is left of a person among the members who is to be forgotten."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from daicho.core.keeping import Keeping
from daicho.core.language import Text
from daicho.core.operation import Mode
from daicho.core.person import Person, Rows, Trace
from daicho.members.models import HumanMember, MemberFile


class MemberKeeping(Keeping[Mode]):
    """The part of ``ledger.members`` that persons leave by. Members do not grow old: no ``aged`` here."""

    room = "members"

    def traces_of(self, person: Person) -> Sequence[Trace]:
        """A person leaves whole, with what is known of the file that describes them."""
        if not person.users:
            return ()
        files = select(HumanMember.file_uri).where(_of(person), HumanMember.file_uri.is_not(None))
        return (
            Rows("members", MemberFile, MemberFile.file_uri.in_(files)),
            Rows("members", HumanMember, _of(person)),
        )

    def left_of(self, session: Session, person: Person) -> list[Text]:
        files = select(HumanMember.file_uri).where(_of(person), HumanMember.file_uri.is_not(None))
        return [
            Text(
                f"the file {uri} brings the member back at the next sync: delete it there, and its versions",
                f"ファイル {uri} が残っていると次の同期でメンバーが戻ります。"
                f"保存先で過去の版とともに削除してください",
            )
            for uri in session.scalars(files)
        ]


def _of(person: Person) -> ColumnElement[bool]:
    lower = [name.lower() for name in person.users]
    return or_(
        HumanMember.name.in_(person.users),
        func.lower(HumanMember.contact_email).in_(lower),
        func.lower(HumanMember.github_username).in_(lower),
    )
