import asyncio
import json
import sqlite3

from wolkvox_async import Engine, OutputError, Summary

TABLE = "create table if not exists readings (call text, n int, line text, primary key (call, n))"


class Table:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute(TABLE)

    async def write(self, lines: bytes) -> None:
        try:
            await asyncio.to_thread(self._insert, lines)
        except sqlite3.Error as error:
            raise OutputError(f"the readings could not be written: {error}") from None

    def _insert(self, lines: bytes) -> None:
        rows = [(json.loads(line), line.decode()) for line in lines.splitlines()]
        values = [(row["call"], row["n"], line) for row, line in rows if row["type"] == "row"]
        with self._database:
            self._database.executemany("insert or replace into readings values (?, ?, ?)", values)


async def fill(engine: Engine, database: sqlite3.Connection) -> Summary:
    async with engine.fetch() as records:
        return await records.write_to(Table(database))
