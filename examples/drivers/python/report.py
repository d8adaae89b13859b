"""PGPASSFILE=pass python report.py "$(freehold login)" acme"""

import sys

import psycopg
from freehold_tenant import Tenants, clean


def report(conn: psycopg.Connection, tenants: Tenants, tenant: str) -> None:
    with tenants.open(conn, tenant):
        rows = conn.execute(
            "select a.handle, count(*) from ticket t join agent a on a.id = t.agent group by 1 order by 1"
        )
        for handle, tickets in rows:
            print(f"{handle} has {tickets} tickets")

        # A vector goes as text: pgvector reads it, and the driver needs to know nothing of its type.
        first = conn.execute("select embedding::text from ticket where number = 1").fetchone()
        if first:
            nearest = conn.execute(
                "select title from ticket where number <> 1 order by embedding <=> %s::vector limit 1", first
            )
            print("most like the first:", *nearest.fetchone())

    # The same statement many times: psycopg prepares it in the protocol, which stays from tenant to tenant.
    for number in range(1, 20):
        with tenants.open(conn, tenant):
            conn.execute("select title from ticket where number = %s", [number]).fetchall()

    try:
        with tenants.open(conn, tenant):
            conn.execute("insert into agent (handle, team) values ('eve', 'second')")
            conn.execute("insert into agent (handle, team) values ('eve', 'second')")
    except psycopg.errors.UniqueViolation:
        print("two of one handle: both are rolled back")
    with tenants.open(conn, tenant):
        print("agents:", *conn.execute("select count(*) from agent").fetchone())


if __name__ == "__main__":
    url, *names = sys.argv[1:]
    with psycopg.connect(url) as conn, Tenants() as tenants:
        for name in names:
            print(f"{name}:")
            report(conn, tenants, name)
            clean(conn)
