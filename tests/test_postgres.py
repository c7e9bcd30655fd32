"""The PostgreSQL that tests get."""

from __future__ import annotations

from tests.postgres import Database


def test_a_test_gets_a_database_of_its_own(database: Database, postgres: Database) -> None:
    with database.connect() as connection:
        connection.execute("create table rows (n integer)")
        connection.execute("insert into rows values (%s)", [7])
    assert database.rows("select n from rows") == [(7,)]
    assert postgres.rows("select to_regclass('rows')") == [(None,)]


def test_other_programs_reach_it_by_its_address(database: Database) -> None:
    assert database.run("--tuples-only", "--no-align", "-c", "select current_database()").strip() == database.name


def test_nobody_gets_in_without_its_password(database: Database) -> None:
    with database.connect() as connection:
        rules = connection.execute("select distinct auth_method from pg_hba_file_rules").fetchall()
        listened = connection.execute("show listen_addresses").fetchall()
    assert (rules, listened) == ([("scram-sha-256",)], [("127.0.0.1",)])
