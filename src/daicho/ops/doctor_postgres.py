"""The doctor's look at a PostgreSQL server. What a login may not see is not held against the server."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

from daicho.core import tls
from daicho.core.engine import Database
from daicho.core.language import Text
from daicho.core.terminal import duration
from daicho.core.tls import Way
from daicho.core.types import now, utc
from daicho.ops.findings import Finding, State, ok, size

OLDEST = 13
"""``gen_random_uuid`` without an extension."""
SKEW_WARN, SKEW_FAIL = 2.0, 60.0
"""Seconds between the server's clock and this one's."""
LONG = timedelta(minutes=5)
"""How long a transaction is open before it is named."""
OLD_AGE = 1_000_000_000
"""Transactions since a table was last frozen; at twice as many the server takes no more."""
DEAD_ROWS, DEAD_SHARE = 10_000, 0.2
OTHERS = 4
"""Connections beside the pool: those that listen, announce changes, look, and the writer's."""

Checks = Sequence[tuple[str, Callable[[Connection], Iterator[Finding]]]]


def before(_: Database) -> Iterator[Finding]:
    """There is nothing to see of a server before one asks it."""
    yield from ()


def checks(database: Database, *, deep: bool) -> Checks:
    """What is looked at on the server."""
    return [
        ("database", lambda connection: _answers(connection, database)),
        ("tls", lambda connection: _tls(connection, database)),
        ("login", _login),
        ("row security", _row_security),
        ("durability", _durability),
        ("clock", _clock),
        ("connections", lambda connection: _connections(connection, database)),
        ("transactions", _transactions),
        ("vacuum", _vacuum),
        ("pg_dump", _pg_dump),
    ]


def _answers(connection: Connection, database: Database) -> Iterator[Finding]:
    number = int(_show(connection, "server_version_num"))
    length = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    version = _show(connection, "server_version").split()[0]
    said = f"{database.place}, PostgreSQL {version}, {size(length)}"
    if number // 10_000 < OLDEST:
        yield Finding(
            "database",
            State.FAIL,
            Text(f"{said}: {OLDEST} or later is needed", f"{said} ({OLDEST} 以降が必要)"),
            Text("upgrade the server", "サーバーを更新してください"),
        )
    elif connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one():
        yield Finding(
            "database",
            State.FAIL,
            Text(f"{said}: a standby, which takes no writes", f"{said}: スタンバイで、書き込めません"),
            Text("let DATABASE_URL name the primary", "DATABASE_URL をプライマリーに向けてください"),
        )
    elif (encoding := _show(connection, "server_encoding")) != "UTF8":
        yield Finding(
            "database",
            State.FAIL,
            Text(f"{said}: its encoding is {encoding}", f"{said}: 文字コードが {encoding} です"),
            Text(
                "make a database with ENCODING 'UTF8' TEMPLATE template0, and copy into it: daicho db copy",
                "ENCODING 'UTF8' TEMPLATE template0 で作り直し、daicho db copy でコピーしてください",
            ),
        )
    else:
        yield ok("database", said)


def _tls(connection: Connection, database: Database) -> Iterator[Finding]:
    driver: Any = connection.connection.driver_connection
    used, way = driver.pgconn.ssl_in_use, tls.way(database.url)
    mode = tls.mode(database.url)
    if way is Way.LOCAL and not used:
        yield ok("tls", "not used, within this machine", "なし (このマシンの中)")
    elif way in {Way.LOCAL, Way.CHECKED}:
        yield ok("tls", f"in use (sslmode={mode})", f"使用中 (sslmode={mode})")
    else:
        en = "in use" if used else "not in use"
        ja = "使用中" if used else "使われていません"
        yield Finding(
            "tls",
            State.WARN,
            Text(
                f"{en}, but sslmode={mode} "
                + ("lets another pose as the server" if way is Way.ENCRYPTED else "does not insist on it"),
                f"{ja}。ただし sslmode={mode} では"
                + ("なりすましを防げません" if way is Way.ENCRYPTED else " TLS が保証されません"),
            ),
            Text(
                "set DATABASE_SSLMODE=verify-full and DATABASE_SSLROOTCERT (the authority's certificates)",
                "DATABASE_SSLMODE=verify-full と DATABASE_SSLROOTCERT (認証局の証明書ファイル) を設定",
            ),
        )


def _login(connection: Connection) -> Iterator[Finding]:
    name, superuser, bypasses, owner = connection.execute(
        text(
            "SELECT r.rolname, r.rolsuper, r.rolbypassrls,"
            " EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass('alembic_version')"
            "  AND pg_has_role(r.oid, c.relowner, 'MEMBER'))"
            " FROM pg_roles r WHERE r.rolname = current_user"
        )
    ).one()
    what = [
        Text("a superuser", "スーパーユーザー") if superuser else None,
        Text("above row-level security (BYPASSRLS)", "BYPASSRLS を持つロール")
        if bypasses and not superuser
        else None,
        Text("the tables' owner", "表の所有者") if owner and not superuser else None,
    ]
    more = [one for one in what if one is not None]
    if not more:
        yield ok("login", f"{name}, with no more rights than it needs", f"{name} (必要最小限の権限)")
        return
    yield Finding(
        "login",
        State.WARN,
        Text(
            f"{name} is {' and '.join(one.en for one in more)}: tenants are kept apart by statements alone",
            f"{name} は{'、'.join(one.ja for one in more)}です。テナントの分離を行レベルで保証できません",
        ),
        Text(
            "run: daicho db grant --apply, give daicho_app a password, and let the server log in as it",
            "daicho db grant --apply を実行し、daicho_app にパスワードを設定してログインさせてください",
        ),
    )


def _row_security(connection: Connection) -> Iterator[Finding]:
    found = connection.execute(
        text(
            "SELECT c.relname, row_security_active(c.oid) FROM pg_class c"
            " WHERE c.relrowsecurity AND c.relnamespace ="
            " (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('alembic_version')) ORDER BY 1"
        )
    ).all()
    active = [name for name, in_force in found if in_force]
    if not found:
        yield Finding(
            "row security",
            State.FAIL,
            Text("no table has it", "どの表にも設定されていません"),
            Text("run: daicho db upgrade", "daicho db upgrade を実行してください"),
        )
    elif len(active) == len(found):
        yield ok("row security", f"in force on {len(active)} tables", f"{len(active)} 表で有効")
    else:  # the login's check says what to do
        yield ok(
            "row security",
            f"there for {len(found)} tables, not in force for this login",
            f"{len(found)} 表に設定済み (このログインには効きません)",
        )


def _durability(connection: Connection) -> Iterator[Finding]:
    names = ("fsync", "full_page_writes", "synchronous_commit")
    off = [name for name in names if _show(connection, name) == "off"]
    if not off:
        yield ok(
            "durability", "what is committed survives a power failure", "コミット済みの内容は停電でも残ります"
        )
        return
    listed = ", ".join(f"{name} = off" for name in off)
    yield Finding(
        "durability",
        State.WARN if off == ["synchronous_commit"] else State.FAIL,
        Text(
            f"{listed}: a power failure may lose what was committed"
            + ("" if off == ["synchronous_commit"] else ", or the database"),
            f"{listed}: 停電でコミット済みの内容"
            + ("" if off == ["synchronous_commit"] else "やデータベース全体")
            + "を失うおそれがあります",
        ),
        Text(
            f"set {' and '.join(off)} to on in postgresql.conf, then: SELECT pg_reload_conf()",
            f"postgresql.conf で {'、'.join(off)} を on にし、SELECT pg_reload_conf() を実行してください",
        ),
    )


def _clock(connection: Connection) -> Iterator[Finding]:
    asked = now()
    there = utc(connection.execute(text("SELECT clock_timestamp()")).scalar_one())
    answered = now()
    skew = abs((there - asked - (answered - asked) / 2).total_seconds())
    state = State.FAIL if skew > SKEW_FAIL else State.WARN if skew > SKEW_WARN else State.OK
    yield Finding(
        "clock",
        state,
        Text(f"{skew:.1f} s from the server's", f"サーバーとの差 {skew:.1f} 秒"),
        None
        if state is State.OK
        else Text("set both by NTP (timedatectl)", "両方を NTP で合わせてください (timedatectl)"),
    )


def _connections(connection: Connection, database: Database) -> Iterator[Finding]:
    most, used = connection.execute(
        text(
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
            " - coalesce(current_setting('reserved_connections', true), '0')::int,"
            " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')"
        )
    ).one()
    pool = database.settings.database.pool
    wanted = pool.size + pool.max_overflow + OTHERS
    en = f"{used} of {most} in use; one process of Daicho may want {wanted}"
    ja = f"{used} / {most} 本を使用中。Daicho は 1 プロセスで最大 {wanted} 本"
    if wanted <= most - used:
        yield ok("connections", en, ja)
        return
    yield Finding(
        "connections",
        State.WARN,
        Text(en, ja),
        Text(
            "raise max_connections on the server, or lower database.pool.size and max_overflow",
            "サーバーの max_connections を増やすか、database.pool.size と max_overflow を減らしてください",
        ),
    )


def _transactions(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(
        text(
            "SELECT pid, usename, state, extract(epoch FROM clock_timestamp() - xact_start)"
            " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend' AND xact_start < clock_timestamp() - :long"
            " ORDER BY xact_start LIMIT 5"
        ),
        {"long": LONG},
    ).all()
    if not rows:
        yield ok("transactions", "none is open for long", "長く開いたものはありません")
        return
    listed = ", ".join(
        f"pid {pid} ({user}, {state}, {duration(timedelta(seconds=float(seconds)))})"
        for pid, user, state, seconds in rows
    )
    yield Finding(
        "transactions",
        State.WARN,
        Text(f"open for long: {listed}", f"長く開いたまま: {listed}"),
        Text(
            "they keep locks, and dead rows from being cleared: end them"
            f" (SELECT pg_terminate_backend({rows[0][0]})) and mend the program",
            f"ロックと不要行が残ります。終了させ (SELECT pg_terminate_backend({rows[0][0]}))、"
            "原因のプログラムを直してください",
        ),
    )


def _vacuum(connection: Connection) -> Iterator[Finding]:
    if _show(connection, "autovacuum") == "off":
        yield Finding(
            "vacuum",
            State.WARN,
            Text("autovacuum = off: tables grow, and plans get worse", "autovacuum = off: 表が肥大します"),
            Text(
                "set autovacuum = on in postgresql.conf", "postgresql.conf で autovacuum = on にしてください"
            ),
        )
    age = connection.execute(
        text("SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()")
    ).scalar_one()
    if age > OLD_AGE:
        yield Finding(
            "vacuum",
            State.FAIL,
            Text(
                f"{age:,} transactions since the last freeze", f"最後の freeze から {age:,} トランザクション"
            ),
            Text(
                "run: VACUUM FREEZE; and see why autovacuum does not",
                "VACUUM FREEZE を実行し原因を調べてください",
            ),
        )
    bloated = connection.execute(
        text(
            "SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables"
            " WHERE n_dead_tup > :rows AND n_dead_tup > :share * n_live_tup ORDER BY n_dead_tup DESC LIMIT 5"
        ),
        {"rows": DEAD_ROWS, "share": DEAD_SHARE},
    ).all()
    if bloated:
        listed = ", ".join(f"{name} ({dead:,} / {live:,})" for name, dead, live in bloated)
        names = ", ".join(name for name, _, _ in bloated)
        yield Finding(
            "vacuum",
            State.WARN,
            Text(f"many dead rows: {listed}", f"不要行が多い表: {listed}"),
            Text(f"run: VACUUM (ANALYZE) {names}", f"VACUUM (ANALYZE) {names} を実行してください"),
        )
    else:
        yield ok("vacuum", "no table has many dead rows", "不要行の多い表はありません")


def _pg_dump(connection: Connection) -> Iterator[Finding]:
    """Whether a backup can be made from here."""
    server = int(_show(connection, "server_version_num")) // 10_000
    program = shutil.which("pg_dump")
    said = ""
    if program is not None:
        command = [program, "--version"]
        said = subprocess.run(command, capture_output=True, text=True).stdout  # noqa: S603 - PATH's own pg_dump
    found = re.search(r"(\d+)[.\d]*", said)
    if found is not None and int(found[1]) >= server:
        yield ok("pg_dump", f"{found[0]} ({program})")
        return
    yield Finding(
        "pg_dump",
        State.WARN,
        Text("not on PATH: no backup can be made from here", "PATH になく、ここからはバックアップできません")
        if found is None
        else Text(
            f"{found[0]} is older than the server ({server}) and refuses it",
            f"{found[0]} はサーバー ({server}) より古く、使えません",
        ),
        Text(
            f"install PostgreSQL's client programs, {server} or later (Debian: postgresql-client-{server})",
            f"PostgreSQL クライアント {server} 以降を入れてください (Debian: postgresql-client-{server})",
        ),
    )


def _show(connection: Connection, name: str) -> str:
    return str(connection.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one())
