"""The demo's conversations: their shape, and those in English."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """A conversation.

    Attributes:
        owner: whose assistant it is, or the channel's name.
        lines: a message each: who says it, then what. ``system``, ``user`` and ``assistant`` are roles, ``tool``
            is followed by the tool's name, what it was asked as JSON, and after `` = `` what it answered; any
            other word is the name of somebody in a channel. ``$name``, ``$ref`` and ``$day`` stand for what
            differs from one to the other, ``\\\\n`` for a new line.
    """

    owner: str
    lines: str


@dataclass(frozen=True, slots=True)
class Texts:
    """The conversations of a language: in channels, with a shop's support, with one's own assistant."""

    bot: str
    names: tuple[str, ...]
    days: tuple[str, ...]
    channels: tuple[tuple[Script, ...], ...]
    support: tuple[Script, ...]
    assistant: tuple[Script, ...]


CHANNELS = (
    (
        Script(
            "game-night",
            """
maru      who's in for game night on friday? 🎲
tess      me! but I can only join after eight
joonas    same, and I'd rather not play anything with more than an hour of rules this time
maru      @Kuma what did we play the last three times?
assistant Last three game nights: Terra Nova (4 players), Paper Harbor (5) and Night Market (6). \
Night Market was voted best, 4 to 1 🏆
tess      the 1 was me and I stand by it
joonas    night market again, with the small expansion?
maru      fine with me. @Kuma remind everybody on friday at 19:30 please
assistant Done. I'll ping @maru, @tess and @joonas on Friday at 19:30: “Night Market, table 2, bring snacks”.
tess      who said anything about snacks
maru      it has learned from the best
""",
        ),
        Script(
            "game-night",
            """
assistant 🔔 @maru @tess @joonas Night Market in 30 minutes, table 2. Bring snacks!
joonas    on my way, ten minutes late, start without me
tess      we are NOT starting without you, you have the box
joonas    …good point
lin       is there still a seat? I have never played it
maru      sure! it's five then. @Kuma the rules in three sentences for lin?
assistant 1. Everybody runs a stall and buys goods before the market opens, without showing them.\\n\
2. Each round you put one good on the table; the highest bid takes it, and pays the lowest.\\n\
3. When the lanterns are out, the fullest purse wins. That's all, the rest is bluffing.
lin       I can do bluffing
""",
        ),
    ),
    (
        Script(
            "help-desk",
            """
priya     the build on main is red since this morning, is that me?
assistant Looking at the last runs: the first red one is 4182, “bump protocol to 3”. Your change came two later.
priya     phew. who owns 4182?
assistant It was merged by @oskar at 08:12. The failing test is test_old_clients_are_answered.
oskar     yeah sorry, that one talks to a server that only knows version 2. I'm on it
oskar     @Kuma retry it with the branch oskar/keep-v2 please
assistant Started. I'll write here when it is through.
assistant ✅ oskar/keep-v2 is green (6 min 41 s). Nobody else is waiting for main.
oskar     merged. coffee's on me
priya     deal ☕
""",
        ),
        Script(
            "help-desk",
            """
noor      how do I get at the staging logs? the wiki page is from 2023
assistant That page is indeed out of date. The short way: `hutch logs staging --since 1h`, with the group “readers”.
noor      “permission denied (publickey)”
assistant Then your key isn't registered yet. Put the public part into your profile; it takes about a minute.
noor      works now, thanks!
oskar     could you fix the wiki page as well, Kuma?
assistant I have proposed a change to it: the old section is gone, the command and the group are in. It needs one review.
noor      reviewed 👍
""",
        ),
    ),
    (
        Script(
            "reading-club",
            """
ivy       finished it last night. no spoilers, but: chapter 19!!
paulo     don't!! I'm at 17
ivy       then hurry, we talk about it on sunday
hana      @Kuma when exactly, for those of us who live elsewhere?
assistant Sunday 18:00 in Lisbon is 19:00 in Berlin, 13:00 in New York and, already on Monday, 02:00 in Tokyo.
hana      2 am it is 😴
paulo     we could do the morning instead?
ivy       fine with me. 10:00 in lisbon = 18:00 for hana?
assistant Yes: 10:00 in Lisbon is 18:00 in Tokyo. I have moved the event.
hana      you are all lovely
""",
        ),
        Script(
            "reading-club",
            """
assistant Today at 10:00: “The Salt Road”, chapters 1 to 24. Voice channel “Armchairs”.
paulo     done at 3 am. chapter 19. I need to talk to somebody
ivy       SEE
hana      I think the brother knew from the beginning
paulo     he can't have, he was still at sea when the letter came
hana      the letter is dated in the old calendar!
ivy       …I have to read it all again now
""",
        ),
    ),
)

SUPPORT = (
    Script(
        "spoke-and-chain",
        """
system    You answer for Spoke & Chain, a bicycle shop. Be brief and friendly. Look orders up; never guess.
user      Hi, my order was due on $day and there's no sign of it. It's $ref.
tool      find_order {"reference": "$ref"} = {"reference": "$ref", "state": "in transit", "carrier": "Northline Parcel", \
"last_seen": "sorting centre", "items": [{"article": "cargo rack", "count": 1}, {"article": "brake pads", "count": 2}], \
"delay": "weather"}
assistant Thanks, $name. Your order $ref (a cargo rack and two sets of brake pads) is with Northline Parcel and was last \
seen at their sorting centre. It is held up by the weather, by a day or so.
user      Ok. Can it go to a pick-up point instead? Nobody is home.
assistant It can. The nearest one is the kiosk at the station, open until 22:00. Shall I change it?
user      Yes please.
tool      redirect {"reference": "$ref", "to": "station-kiosk"} = {"ok": true}
assistant Done. You'll get a code by message as soon as it's there. Anything else?
user      No, that was quick. Thanks!
""",
    ),
    Script(
        "maple-dental",
        """
user      Do you have anything free on $day? It's for a check-up.
assistant For a check-up I can offer $day at 9:15 or at 14:45. Which suits you?
user      The later one. Name is $name.
tool      book {"patient": "$name", "slot": "14:45", "kind": "check-up"} = {"booking": "$ref", "minutes": 30}
assistant You're booked for $day at 14:45, reference $ref. It takes about half an hour. Please bring your card.
user      One of my crowns feels a bit loose, by the way.
assistant Thanks for telling me. I've put a note on it and made it 45 minutes, so that it can be fixed right away.
user      Great, thank you
""",
    ),
    Script(
        "lumen-books",
        """
system    You answer for Lumen Books. Hand over to a person when somebody asks for one, or is upset twice.
user      You sent me the wrong book. Again.
assistant I'm sorry, $name, that shouldn't happen once. Is it order $ref?
user      Yes. I ordered the second volume and got the first. For the second time!
assistant I see: both times the first volume went out, because the two share a barcode with us. \
I'd like a colleague to pack it by hand.
user      I'd rather speak to somebody.
system    Handed over to Ruth (customer care).
assistant Ruth here, I've just taken the right volume off the shelf myself. It leaves today by courier; keep the other one.
user      Oh! That's kind. Thank you, Ruth.
""",
    ),
    Script(
        "harbor-lights-hotel",
        """
user      hello, is breakfast included in $ref?
tool      find_booking {"reference": "$ref"} = {"guest": "$name", "nights": 2, "rate": "flex", "breakfast": false}
assistant Hello $name! Your rate doesn't include it. It's €18 a day, from half past six to eleven.
user      for both of us both days please
tool      add_service {"reference": "$ref", "service": "breakfast", "people": 2, "days": 2} = {"total": "€72.00"}
assistant Added: two breakfasts on both days, €72 in all, paid when you leave.
user      👍
""",
    ),
)

ASSISTANT = (
    Script(
        "northwind/platform",
        """
system    You help the platform team. You may read the repository and run its tests. Explain what you do in plain words, \
in few of them. Never push.\\nToday's repository: northwind/platform, branch main. Tests are run by `make test`; the slow ones \
need a database, which is there. Ask before you change anything that others depend on: public functions, tables, \
environment variables.
user      Why is the nightly job so slow since last week? It's the one called rollup.
tool      git_log {"path": "jobs/rollup.py", "days": 10} = 4f1c2ab  read the tenant of each row\\n\
9d03e77  say how many rows were done\\nb8812f0  (older)
tool      read_file {"path": "jobs/rollup.py", "from": 40, "to": 58} = \
for row in rows:\\n    tenant = session.get(Tenant, row.tenant_id)\\n    sums[tenant.region, row.day] += row.amount\\n\
    done += 1\\n    if done % 100 == 0:\\n        log.info("%s rows", done)
assistant Since 4f1c2ab it asks the database for the tenant of every single row: with two million rows that's two million \
questions. Before, it knew the region from the row itself.\\n\\nOne question for all tenants before the loop would be enough; \
there are only 812 of them.
user      Makes sense. Can you try it?
tool      run_tests {"only": "jobs"} = 31 passed in 4.2s
assistant Tried on a copy of last night's rows: 3 min 10 s instead of 2 h 26 min, and the sums are the same to the cent. \
The change is on the branch fix/$ref, eleven lines; have a look before you merge it.
user      You're a star.
""",
    ),
    Script(
        "northline-internet",
        """
system    You are the assistant of $name, who looks after regional sales. Answer with figures, and say where they are from.
user      How did the fibre offers do in the north this month, compared with last month?
tool      query {"report": "offers", "region": "north", "product": "fibre", "months": 2} = \
{"this_month": {"offers": 412, "signed": 133}, "last_month": {"offers": 388, "signed": 97}}
assistant 133 of 412 offers were signed (32 %), against 97 of 388 (25 %) last month. From the report “offers”, as of this morning.
user      What changed?
assistant Two things stand out: the price for the first year was on the first page since the 3rd, and installation dates came \
within a week instead of three. Which of them it was the figures can't tell: both began in the same week.
user      Good, then we should keep both. Draft a short note to the team?
assistant “The north signed one in three fibre offers this month, up from one in four. Price up front and installation within \
a week: let's do both everywhere from $day on. Thank you all!”
user      Send it.
tool      send_note {"to": "sales-all"} = {"recipients": 46}
assistant Sent to 46 people.
""",
    ),
)

TEXTS = Texts(
    bot="Kuma",
    names=("Emma", "Noah", "Olivia", "Liam", "Ava", "Ethan", "Mia", "Lucas", "Grace", "Daniel"),
    days=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    channels=CHANNELS,
    support=SUPPORT,
    assistant=ASSISTANT,
)
