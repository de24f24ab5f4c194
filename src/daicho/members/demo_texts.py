"""What the demo's files of English-speaking members say, and two files that nobody can take over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daicho.members.schemas import Kind

Value = str | list[str] | None


@dataclass(frozen=True, slots=True)
class Script:
    """A member's file: its name without folder and ending, and its keys' values."""

    kind: Kind
    file: str
    values: Mapping[str, Value]


def person(
    file: str, name: str, role: str, skills: Sequence[str], bio: str, mail: str, github: str | None
) -> Script:
    """A person's file."""
    values: dict[str, Value] = {
        "name": name,
        "role": role,
        "skills": list(skills),
        "bio": bio.strip(),
        "contact_email": mail,
        "github_username": github,
    }
    return Script(Kind.HUMAN, file, values)


def virtual(
    file: str, name: str, role: str, model: str, traits: Sequence[str], expertise: Sequence[str], prompt: str
) -> Script:
    """A virtual member's file."""
    values: dict[str, Value] = {
        "name": name,
        "role": role,
        "llm_model": model,
        "system_prompt": prompt.strip(),
        "personality_traits": list(traits),
        "expertise_areas": list(expertise),
    }
    return Script(Kind.VIRTUAL, file, values)


SCRIPTS = (
    person(
        "emma_clarke",
        "Emma Clarke",
        "Engineering lead",
        ("Python", "PostgreSQL", "System design", "Mentoring"),
        """
Leads the customer portal's team at Harbor Internet. Before that, eight years of billing systems.
Ask her before a migration, not after it. Mornings are best.
""",
        "emma.clarke@harbor.example",
        "emma-clarke-demo",
    ),
    person(
        "noah_fischer",
        "Noah Fischer",
        "Site reliability engineer",
        ("Kubernetes", "Terraform", "Prometheus", "Go", "Incident response", "Linux", "Bash"),
        """
Keeps the lights on, and writes down how. On call every third week.
""",
        "noah.fischer@northwind.example",
        "noah-fischer-demo",
    ),
    person(
        "olivia_reyes",
        "Olivia Reyes",
        "Product manager",
        ("User research", "Roadmaps", "SQL", "Spanish"),
        """
Owns the storefront of Lumen Books. Reads every bug report herself and answers most of them.
""",
        "olivia.reyes@lumen.example",
        None,
    ),
    person(
        "daniel_kim",
        "Daniel Kim",
        "Front-end engineer",
        ("TypeScript", "Vue", "Accessibility", "CSS"),
        """
Builds what people touch. Tests every page with a keyboard and a screen reader first.
""",
        "d.kim@harbor.example",
        "daniel-kim-demo",
    ),
    person(
        "amara_okafor",
        "Amara Okafor",
        "Data engineer",
        ("dbt", "Airflow", "BigQuery", "Python", "Data contracts"),
        """
Turns call records into numbers that finance believes. Based in Lagos, working in UTC+1.
""",
        "amara.okafor@northwind.example",
        "amara-okafor-demo",
    ),
    person(
        "sven_lindqvist",
        "Sven Lindqvist",
        "Customer support lead",
        ("Zendesk", "Conversation design", "Swedish", "English"),
        """
Knows why customers call. Reviews the voice agents' handovers every Friday.
""",
        "sven.lindqvist@harbor.example",
        None,
    ),
    virtual(
        "iris",
        "Iris",
        "Code reviewer",
        "claude-sonnet-4-5",
        ("precise", "kind", "unhurried"),
        ("Python", "SQL", "API design", "security review"),
        """
You are Iris, a code reviewer. You read a change twice before you say anything.

- Name the file and the line for everything that you remark.
- Say what goes wrong, for whom and when; then say what would be better.
- Separate what must change from what you would merely like.
- Praise what is good in one sentence, and only if it is true.

Do not rewrite the author's code in your own style. If you are not sure, ask.
""",
    ),
    virtual(
        "atlas",
        "Atlas",
        "Incident commander",
        "gpt-5.1",
        ("calm", "brief", "persistent"),
        ("incident response", "observability", "Kubernetes", "post-mortems"),
        """
You are Atlas. During an incident you keep the timeline and the list of open questions.

Every ten minutes, say in three lines: what is broken for users, what is being tried, who decides next.
Never guess a cause. Never name a culprit. When it is over, write the post-mortem's first draft.
""",
    ),
    virtual(
        "quill",
        "Quill",
        "Technical writer",
        "gemini-2.5-pro",
        ("plain-spoken", "curious"),
        ("documentation", "release notes", "style guides"),
        """
You are Quill. You write for someone who has ten minutes and one question.

Short sentences. The command first, the explanation after it. Every example must run as it stands.
""",
    ),
    virtual(
        "harbor_voice",
        "Harbor Voice",
        "Voice agent, first line",
        "gpt-5-mini",
        ("warm", "patient", "never rushed"),
        ("broadband faults", "billing questions", "handover to people"),
        """
You answer the telephone for Harbor Internet. Greet, ask one thing at a time, and repeat what you heard.

Run the line check before you suggest anything. If the caller asks for a person, hand over at once, with
a summary of at most three sentences.
""",
    ),
)

SKILLS = ("Rust", "GraphQL", "Playwright", "OpenTelemetry", "Facilitation")
"""What a person may learn while one watches."""
REMARKS = (
    "Today: answer in at most five sentences.",
    "Today: prefer measurements to opinions.",
    "Today: end with one question that moves the work on.",
)
"""Last lines that a prompt may get while one watches."""

BROKEN_FILE = "virtual_members/scout"
BROKEN = """\
name: Scout
role: Research assistant
llm_modell: gpt-5-mini
personality_traits: curious
expertise_areas:
  - web research
  - summaries
system_prompt: |
  You are Scout. You find three sources before you answer.
"""
"""A key is misspelt, and a list is none."""

TAKEN = virtual(
    "iris_old",
    "Iris",
    "Code reviewer (former prompt)",
    "gpt-4o",
    ("strict",),
    ("Python",),
    "You are Iris, a code reviewer. Find every mistake.",
)
"""Its name is another file's."""
