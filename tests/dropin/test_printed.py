"""What the designs print is here word for word, and every block of Python is run."""

import hashlib
import os
import re
from pathlib import Path

import pytest

from tests.dropin.printed import BLOCK, FOLDER, blocks
from tests.usage import test_seed as guide

HERE = Path(__file__).parent
SEEDS = Path(os.environ.get("DAICHO_TEST_SEEDS", HERE.parents[2] / "shared" / "seeds"))
LANGUAGES = {"python", "bash", "sql", "yaml"}
DIGESTS = {
    "000": "880a32617cba114b",
    "001": "6c419d5b9d134f87",
    "002": "36bd5b2bb55d61fb",
    "003": "b4cea155b033ef0d",
    "004": "b98b332f79a6732c",
}
"""Of each design's blocks: so that nobody changes them here, also where the designs themselves are not."""


def code_of(text: str) -> list[tuple[str, str]]:
    """The blocks of a text, with trailing space and empty lines at their ends aside."""
    return [
        (language, "\n".join(line.rstrip() for line in code.strip().splitlines()))
        for language, code in BLOCK.findall(text)
        if language in LANGUAGES
    ]


def digest(found: list[tuple[str, str]]) -> str:
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


@pytest.mark.parametrize("seed", DIGESTS)
def test_the_blocks_are_the_designs(seed: str) -> None:
    assert digest(code_of((FOLDER / f"{seed}.txt").read_text())) == DIGESTS[seed]
    if SEEDS.is_dir():  # beside the repository, where its founders and its CI have them
        (design,) = SEEDS.glob(f"{seed}_*.txt")
        assert digest(code_of(design.read_text())) == DIGESTS[seed]


def test_every_block_of_python_is_run() -> None:
    tests = "".join(path.read_text() for path in HERE.glob("test_seed_*.py"))
    lost = [
        line
        for seed in DIGESTS
        for line in blocks(seed, "python")
        if not ("(SQLModel, table=True)" in line or "Enum):" in line) and line not in tests
    ]
    assert lost == []


def test_the_sql_of_the_guide_is_run_elsewhere() -> None:
    text = Path(guide.__file__).read_text()
    plain = re.sub(r"\s+", " ", text.replace("\\\\", "\\").replace('"', "").replace("\\n", "\n"))
    lost = []
    for code in blocks("003", "sql").values():
        for statement in re.sub(r"--.*", "", code).split(";"):
            for part in re.split(r"\n(?=\\)", statement):
                wanted = re.sub(r"\s+", " ", part).strip()
                if wanted and wanted not in plain:
                    lost.append(wanted)
    assert lost == []
