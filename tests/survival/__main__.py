"""The long version: minutes of load on both databases, with every fault, at random. ``python -m tests.survival``.

``python -m tests.survival [SECONDS] [SEED]``: so long on each database; 120 seconds, unless said otherwise.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.databases import PostgresDatabases, SqliteDatabases
from tests.postgres import Cluster
from tests.survival.load import Load, finished, load
from tests.survival.proxy import Fault, Proxy
from tests.survival.test_sqlite import held

IMPATIENT = "database: {pool: {silence: 1, connect_timeout: 2}}"


def on_postgresql(folder: Path, seconds: float, chance: random.Random) -> None:
    """Load through a proxy on a cluster of its own."""
    cluster = Cluster(durable=True)
    proxy = Proxy("127.0.0.1", cluster.port)
    direct = PostgresDatabases(cluster.url()).new()
    (folder / "config.yaml").write_text(IMPATIENT)

    def again(end: Callable[[], None]) -> None:
        end()
        time.sleep(chance.uniform(0, 3))
        cluster.start()

    def healed(fault: Callable[[], None]) -> None:
        fault()
        time.sleep(chance.uniform(0, 4))
        proxy.heal()

    faults: dict[str, Callable[[], None]] = {
        "stopped": lambda: again(lambda: cluster.stop("fast")),
        "crashed": lambda: again(lambda: cluster.stop("immediate")),
        "killed": lambda: again(cluster.kill),
        "cut": proxy.cut,
        "refused": lambda: healed(proxy.refuse),
        "swallowed": lambda: healed(proxy.swallow),
        **{
            f"commits {fault.name.lower()}": lambda fault=fault: proxy.at_commit(fault, every=5, times=20)  # type: ignore[misc]
            for fault in Fault
        },
    }
    try:
        shaken(direct, proxy.url(direct.rpartition("/")[2]), folder, seconds, chance, faults)
    finally:
        proxy.close()
        cluster.close()


def on_sqlite(folder: Path, seconds: float, chance: random.Random) -> None:
    """Load on a file that others hold, for up to three quarters of a minute at a time."""
    url = SqliteDatabases(folder).new(folder / "ledger.db")
    path = folder / "ledger.db"

    def hold(how: str) -> None:
        with held(path, how):
            time.sleep(chance.uniform(0, 15))

    faults = {how: lambda how=how: hold(how) for how in ("READ", "IMMEDIATE", "EXCLUSIVE")}  # type: ignore[misc]
    shaken(url, url, folder, seconds, chance, faults)


def shaken(
    direct: str,
    url: str,
    folder: Path,
    seconds: float,
    chance: random.Random,
    faults: dict[str, Callable[[], None]],
) -> None:
    """Let clients write through one fault after the other, and count."""
    done: dict[str, int] = dict.fromkeys(faults, 0)
    with load(direct, folder) as running:
        running.start(url, processes=4)
        running.wait_for(100)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            name = chance.choice(list(faults))
            faults[name]()
            done[name] += 1
            goes_on(running)
        said = finished(running, direct)
    print(
        f"{url.partition(':')[0]}: {len(said.done):,} writes, {len(said.away):,} times told to come back;",
        done,
    )


def goes_on(running: Load) -> None:
    """Wait until the clients write again."""
    running.wait_for(50, seconds=120)


def main() -> None:
    """See above."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10_000)
    print(f"seed {seed}")
    for kind in (on_postgresql, on_sqlite):
        with tempfile.TemporaryDirectory() as folder:
            kind(Path(folder), seconds, random.Random(seed))


if __name__ == "__main__":
    main()
