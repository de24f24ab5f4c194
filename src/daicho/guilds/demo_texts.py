"""What the demo's English-speaking guild asks, answers, deletes and listens to."""

from collections.abc import Mapping
from dataclasses import dataclass

from daicho.guilds.enums import LogType, TicketCategory, TicketPriority, TicketStatus

Details = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Script:
    """A ticket, and what is written in it.

    Args:
        thread: a message a line: ``u`` who asks, ``m`` who takes care of it, ``s`` the bot itself.
    """

    title: str
    description: str
    category: TicketCategory
    priority: TicketPriority
    status: TicketStatus
    thread: str

    @property
    def messages(self) -> list[tuple[str, str]]:
        """Who writes, and what."""
        lines = (line.partition(" ") for line in self.thread.strip().splitlines())
        return [(who, text) for who, _, text in lines]


@dataclass(frozen=True, slots=True)
class Song:
    """A piece of music; its length is in seconds."""

    title: str
    artist: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Texts:
    """What differs between the guilds of two languages."""

    tickets: tuple[Script, ...]
    live: tuple[Script, ...]
    logs: Mapping[LogType, tuple[tuple[str, Details | None], ...]]
    songs: tuple[Song, ...]


TECHNICAL, MODERATION = TicketCategory.TECHNICAL, TicketCategory.MODERATION
GENERAL, OTHER = TicketCategory.GENERAL, TicketCategory.OTHER
LOW, MEDIUM, HIGH, URGENT = TicketPriority
OPEN, IN_PROGRESS, CLOSED, ARCHIVED = TicketStatus

TICKETS = (
    Script("The bot does not join the voice channel", "It says “connected”, but nobody sees it in Lounge 2.",
           TECHNICAL, HIGH, OPEN, """
u It worked this morning. Since the move to the new region it only says “connected”.
s The ticket has been opened. Somebody will be with you soon.
u Restarting Discord did not help.
"""),
    Script("Somebody posts links to a fake Nitro page", "Third time today, always another account.",
           MODERATION, URGENT, IN_PROGRESS, """
u Please look at #general, there is another one.
s Assigned to a moderator.
m Thanks, banned. I have also deleted the messages of the last hour.
u There is one more in #off-topic.
m Got it. I am adding the domain to the filter now.
"""),
    Script("How do I get the translator role?", "I would like to help with the Spanish pages.",
           GENERAL, LOW, OPEN, """
u I have translated two guides before. Do I have to apply somewhere?
"""),
    Script("Muted by mistake", "I was muted for a word that is the name of my town.",
           MODERATION, MEDIUM, CLOSED, """
u The filter took the name of my town for something else.
m You are right, that was the filter. It is lifted, and the word is on the list of exceptions.
u Thank you, that was quick!
s The ticket was closed.
"""),
    Script("Event calendar shows the wrong time zone", "Everything is five hours off.",
           TECHNICAL, MEDIUM, IN_PROGRESS, """
u The raid is announced for 19:00, but it was at midnight for me.
m Which zone is set in your profile?
u Lisbon.
m Reproduced. The calendar ignores summer time; a fix is on its way.
"""),
    Script("Partnership with the Lumen Books server", "We would like to exchange announcements.",
           OTHER, LOW, OPEN, """
u We run a reading club of 800 members. Who decides about partnerships?
m I will bring it up on Thursday.
"""),
    Script("Level roles are not given any more", "Since the update nobody has been promoted.",
           TECHNICAL, URGENT, OPEN, """
u Twelve people have reached level 10 and none has the role.
s Priority was raised to urgent.
"""),
    Script("Screen reader cannot read the welcome picture", "There is no text for it.",
           TECHNICAL, MEDIUM, CLOSED, """
u The rules are in the picture only.
m They are a text now, pinned in #welcome. Sorry for that.
u I can read it. Thanks a lot.
s The ticket was closed.
"""),
    Script("Report of harassment in direct messages", "I have screenshots.",
           MODERATION, HIGH, CLOSED, """
u A member keeps writing to me although I asked them to stop.
m I am sorry. Please send the screenshots here, only moderators see this channel.
u Sent.
m They have been removed from the server. Tell us at once if it goes on elsewhere.
s The ticket was closed.
"""),
    Script("Name change", "My name is spelled with an accent now.", GENERAL, LOW, ARCHIVED, """
u Could a moderator change my nickname to Zoé?
m Done.
s The ticket was archived.
"""),
    Script("Winner of the photo contest cannot be announced", "The post needs a permission that I lack.",
           OTHER, MEDIUM, ARCHIVED, """
u I am the organiser, but I may not post in #announcements.
m You may until Sunday.
s The ticket was archived.
"""),
    Script("Music stops after every track", "The queue is full, still it stops.", TECHNICAL, LOW, CLOSED, """
u I have to type !skip each time.
m The loop mode was “track”, and that track was removed. It is off now.
s The ticket was closed.
"""),
)  # fmt: skip
LIVE = (
    Script("Cannot hear anybody in Lounge 1", "Everybody else can.", TECHNICAL, MEDIUM, OPEN, """
u I have tried another headset already.
m Please leave the channel and join again: I have moved it to another region.
u That was it. Thank you!
"""),
    Script("Please unban my brother", "He used the same connection as somebody else.", MODERATION, HIGH, OPEN, """
u It is the student dormitory, 300 people share it.
m I see. One moment.
m Lifted. Welcome back to him.
"""),
    Script("Where is the archive of last year’s talks?", "The link in #resources is dead.", GENERAL, LOW, OPEN, """
u The one about type checkers, if possible.
m Moved to the wiki. The link is mended.
"""),
)  # fmt: skip
LOGS: Mapping[LogType, tuple[tuple[str, Details | None], ...]] = {
    LogType.MESSAGE_DELETE: (
        ("Message deleted", {"content": "free nitro here >> nitro-gift.example", "attachments": []}),
        ("Message deleted", {"content": "oops, wrong channel", "attachments": ["cat.png"]}),
    ),
    LogType.MESSAGE_EDIT: (
        ("Message edited", {"before": "The raid is at 7", "after": "The raid is at 19:00 UTC"}),
        ("Message edited", {"before": "teh rules", "after": "the rules"}),
    ),
    LogType.MEMBER_JOIN: (("Member joined", {"invite": "lumen-books", "account_age_days": 412}),),
    LogType.MEMBER_LEAVE: (("Member left", {"roles": ["reader", "level 5"], "days_here": 96}),),
    LogType.MEMBER_BAN: (("Banned for advertising", {"reason": "advertising", "delete_days": 1}),),
    LogType.MEMBER_UNBAN: (("Ban lifted after an appeal", {"reason": "shared connection"}),),
    LogType.MEMBER_KICK: (("Kicked", {"reason": "three warnings", "warnings": 3}),),
    LogType.MEMBER_TIMEOUT: (("Timed out for 10 minutes", {"seconds": 600, "reason": "spam"}),),
    LogType.ROLE_ADD: (("Role given: level 10", {"role": "level 10"}),),
    LogType.ROLE_REMOVE: (("Role taken: event host", {"role": "event host"}),),
    LogType.CHANNEL_CREATE: (("Channel created: ticket-0042", {"name": "ticket-0042", "kind": "text"}),),
    LogType.CHANNEL_DELETE: (("Channel deleted: old-events", None),),
    LogType.SYSTEM_EVENT: (
        ("Bot restarted", {"version": "3.2.0", "shards": 2, "latency_ms": 41.5}),
        ("Command list synchronised", None),
    ),
}
SONGS = (
    Song("Harbour Lights at Four", "The Quiet Piers", 244),
    Song("Paper Lanterns", "Ines Alvarado", 198),
    Song("Northbound Train (Live)", "Fischer & Kim", 371),
    Song("Low Tide", "Maple Street Trio", 227),
    Song("A Ledger of Small Things", "Zoe P.", 183),
    Song("Rain on a Tin Roof, 1 hour", "Sleep Sounds", 3_605),
    Song("Counting Windows", "Halfway House", 209),
    Song("Second Breakfast", "The Spoke and Chain Band", 156),
    Song("Ridgeview", "Liam Novak", 301),
)
TEXTS = Texts(TICKETS, LIVE, LOGS, SONGS)
