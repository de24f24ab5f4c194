"""Whose usage the demo invents, and what for."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID, uuid5

SPACE = UUID("2f3a4d52-58c1-4b4e-8f0e-da1c40000001")
"""Within which the demo's ids are made, so that they are the same in every ledger."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A tenant of the demo.

    Args:
        name: what it is called.
        users: what its users are called.
        weight: how much it uses, compared with the others.
        owns: the clients of the demo's calls and the owners of its tasks that are this tenant's.
    """

    name: str
    users: tuple[str, ...]
    weight: int
    owns: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return str(uuid5(SPACE, self.name))

    def user_id(self, name: str) -> str:
        """The id of one of its users."""
        return str(uuid5(SPACE, f"{self.name}/{name}"))


CUSTOMERS = (
    Customer("花火グループ", ("高橋 葵", "山本 蓮"), 5, ("dining-hanabi", "ryokan-tsukishiro", "hanabi/web")),
    Customer("さくらクリニック", ("佐藤 美咲", "中村 悠"), 3, ("sakura-clinic", "sakura-dental")),
    Customer("ひかりネット", ("田中 健一", "伊藤 楓"), 4, ("hikari-net", "kujira-repair", "minato-city")),
    Customer("Maple Dental", ("Emma Clarke", "Liam Novak"), 2, ("maple-dental", "ridgeview-city-hall")),
    Customer(
        "Harbor Hospitality", ("Olivia Reyes",), 3, ("harbor-lights-hotel", "trattoria-lume", "lumen-books")
    ),
    Customer(
        "Northline",
        ("Noah Fischer", "Daniel Kim", "Zoe Papadakis"),
        6,
        ("northline-internet", "spoke-and-chain", "harbor-internet", "northwind/platform"),
    ),
)
OWNERS: Mapping[str, Customer] = {owned: customer for customer in CUSTOMERS for owned in customer.owns}
ELSE, ELSE_JAPANESE = CUSTOMERS[5], CUSTOMERS[2]
"""Whose the rest is."""
CHANNELS: Mapping[str, Customer] = {
    "discord:1203045678901234567:": ELSE,
    "discord:1187654321098765433:": ELSE_JAPANESE,
}
"""How the names of the demo's chats in channels begin, and whose they are."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A kind of call of an LLM.

    Args:
        operation: what it is for.
        model, provider: which model, and who runs it.
        read, write: how many tokens go in and come out, from and to.
        cached: the part of what goes in that mostly comes from a cache.
        ms_a_token: how long a token that comes out takes, in milliseconds.
        weight: how often there is one, compared with the others.
    """

    operation: str
    model: str
    provider: str | None
    read: tuple[int, int]
    write: tuple[int, int]
    cached: float = 0.0
    ms_a_token: float = 12.0
    weight: int = 1


SCENES = (
    Scene("generate_assessment", "claude-sonnet-4-5", "anthropic", (2_500, 9_000), (700, 2_400), weight=5),
    Scene("analyze_lead_insights", "gpt-5-mini", "openai", (1_800, 12_000), (300, 1_200), weight=7),
    Scene("draft_reply", "claude-haiku-4-5", "anthropic", (3_000, 16_000), (120, 600), 0.8, weight=9),
    Scene("translate", "gemini-2.5-flash", "google", (300, 4_000), (280, 4_200), ms_a_token=5, weight=6),
    Scene("classify_inquiry", "kotonoha-7b", None, (150, 900), (4, 30), ms_a_token=30, weight=4),
    Scene("research", "gemini-2.5-pro", "google", (30_000, 260_000), (900, 5_000), weight=1),
)
"""What is used without any call, task, member or chat. The list knows no price of our own model."""
ANSWER = Scene("answer_call", "gpt-4o-mini", "openai", (900, 5_200), (20, 160), 0.6, ms_a_token=9)
SUMMARIZE = Scene("summarize_call", "claude-haiku-4-5", "anthropic", (900, 3_200), (80, 260))
CHAT = Scene("chat", "gpt-5-mini", "openai", (1_200, 14_000), (60, 900), 0.5)
CODE = Scene("code", "claude-sonnet-4-5", "anthropic", (6_000, 90_000), (150, 2_500), 0.9)
