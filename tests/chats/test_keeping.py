"""Old messages leave, and authors are forgotten, in each place where chat logs are kept."""

from datetime import timedelta

from daicho import Ledger
from daicho.core.person import FORGOTTEN, Person
from daicho.core.types import now

OWN, OTHERS = "discord:811223344556677889:5", "discord:guild"


def test_messages_leave_by_their_age_and_authors_lose_name_and_words(place_url: str) -> None:
    old, person = now() - timedelta(days=40), Person(users=("花子", "811223344556677889"))
    with Ledger(place_url) as ledger:
        chats = ledger.chats
        chats.append(OTHERS, "user", "long ago", author="花子", timestamp=old)
        for author, said in (("花子", "my address"), ("太郎", "hello"), (None, "an answer")):
            chats.append(OTHERS, "user", said, author=author, message_id=said, details={"said": said})
        chats.append(OWN, "user", "mine alone")
        month = now() - timedelta(days=30)
        assert chats.count_before("chat_logs", month) == {"chat_logs": 1}
        assert chats.drop_before("chat_logs", month) == {"chat_logs": 1}
        assert chats.count_before("chat_logs", month) == {"chat_logs": 0}
        due = [(one.table, one.fate, one.rows) for one in chats.find_person(person)]
        assert due == [("chat_sessions", "removed", 1), ("chat_logs", "anonymised", 1)]
        told: list[int] = []
        done = [(one.table, one.fate, one.rows) for one in chats.forget(person, advance=told.append)]
        assert (done, sum(told)) == (due, 2)
        assert not sum(one.rows for one in chats.find_person(person))
        first, *others = chats.history(OTHERS)
        assert (first.author, first.content, first.details) == (person.alias, FORGOTTEN, None)
        assert [message.content for message in others] == ["hello", "an answer"]
        assert not chats.history(OWN).items
        again = chats.append(OTHERS, "user", "my address", author="花子", message_id="my address")
        assert again.content == FORGOTTEN
