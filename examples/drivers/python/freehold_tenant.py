"""Tenants of Freehold over psycopg 3: `with tenants.open(conn, "acme"):` is a transaction inside the wall of one."""

import subprocess
import threading
from contextlib import contextmanager

from psycopg import Connection
from psycopg.pq import TransactionStatus


class Tenants:
    """Opens tenants. One `freehold token --stdin` signs for the whole process; it reads the root key, this process
    never does. Whoever can write to it can open every tenant, so it is nobody else's."""

    def __init__(self, command=("freehold", "token", "--stdin")):
        self._lock = threading.Lock()
        self._signer = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._signer.stdin.close()
        self._signer.wait(timeout=10)

    @contextmanager
    def open(self, conn: Connection, tenant: str):
        """A transaction with the tenant open: committed at the end, rolled back by an exception."""
        if conn.info.transaction_status != TransactionStatus.IDLE:
            raise RuntimeError("a transaction is open already; each has one tenant")
        with conn.transaction():
            # Behind a transaction pooler the backend is known inside the transaction only, so it is asked for.
            (pid,) = conn.execute("select pg_backend_pid()").fetchone()
            # Never prepared: what has a name in the backend, others can replace.
            conn.execute(f"call freehold.open('{self._token(pid, tenant)}')", prepare=False)
            yield conn

    def _token(self, pid: int, tenant: str) -> str:
        if "\n" in tenant:
            raise ValueError("a tenant's name has one line")
        with self._lock:
            self._signer.stdin.write(f"{pid} {tenant}\n")
            answer = self._signer.stdout.readline().strip()
        if not answer.startswith("v3."):
            raise PermissionError(answer or "the signer has ended")
        return answer


def clean(conn: Connection) -> None:
    """What a pool does with a connection that comes back: `ConnectionPool(…, reset=clean)`."""
    conn.autocommit = True
    conn.execute("reset all")
    conn.execute("close all")
    conn.execute("unlisten *")
    conn.autocommit = False
