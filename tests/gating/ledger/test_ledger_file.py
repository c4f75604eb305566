"""The SQLite file: how it is made, opened, refused, and what other programs and newer releases find."""

import sqlite3
import stat
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from gating.errors import DataDirectoryUnknown, InputInvalid, Unreachable
from gating.ledger import Ledger, schema, sqlite, sqlite_url
from gating.ledger.tables import REVISIONS, metadata
from tests.gating.ledger.desk import Desk


@pytest.fixture
def url(path):
    return sqlite_url(path)


def test_the_migrations_make_exactly_the_tables_that_are_used(ledger, path):
    with create_engine(f"sqlite:///{path}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_every_migration_is_known_by_name():
    script = ScriptDirectory(str(schema._MIGRATIONS))
    assert tuple(reversed([one.revision for one in script.walk_revisions()])) == REVISIONS


def test_the_file_keeps_a_rollback_journal_and_is_its_owners_alone(ledger, desk, path):
    """WAL is out of question: SQLite 3.40.1 has the WAL-reset bug."""
    desk.open()
    with ledger._store.writing() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "delete", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["a b.sqlite", "50%.sqlite", "what?.sqlite", "a#b.sqlite", "ü.sqlite", "a%20b.sqlite"])
def test_the_file_lies_exactly_where_its_path_says(tmp_path, name):
    with Ledger.open(sqlite_url(tmp_path / name)) as ledger:
        Desk(ledger).open()
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    with Ledger.open_reading(sqlite_url(tmp_path / name)) as ledger:
        assert ledger.head().version == 1


@pytest.mark.parametrize("url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "sqlite:///file:x", "mysql://h/d"])
def test_a_url_that_names_no_file_is_refused(url):
    with pytest.raises(InputInvalid):
        Ledger.open(url)


def test_opening_again_keeps_everything(ledger, desk, path):
    desk.open()
    head = ledger.head()
    with Ledger.open(sqlite_url(path)) as again:
        assert again.head() == head


def test_opening_for_reading_makes_nothing_and_writes_nothing(tmp_path, path):
    with pytest.raises(Unreachable):
        Ledger.open_reading(sqlite_url(path))
    assert list(tmp_path.iterdir()) == []
    path.touch()
    with pytest.raises(Unreachable, match="is empty"):
        Ledger.open_reading(sqlite_url(path))
    assert path.stat().st_size == 0
    with Ledger.open(sqlite_url(path)) as ledger:
        Desk(ledger).open()
    before = path.read_bytes()
    with Ledger.open_reading(sqlite_url(path)) as reader:
        assert reader.head().version == 1
        reader.await_writers()
        with pytest.raises(Unreachable):
            Desk(reader).open("other")
    assert path.read_bytes() == before


def test_a_newer_releases_ledger_is_refused_and_left_alone(ledger, desk, path):
    desk.open()
    ledger.close()
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = path.read_bytes()
    for opening in (Ledger.open, Ledger.open_reading):
        with pytest.raises(DataDirectoryUnknown, match="9999"):
            opening(sqlite_url(path))
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(path):
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE cookies (id)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DataDirectoryUnknown, match="cookies"):
        Ledger.open(sqlite_url(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_unreachable(path, content):
    path.write_bytes(content)
    with pytest.raises(Unreachable, match=r"ledger\.sqlite"):
        Ledger.open(sqlite_url(path))
    assert path.read_bytes() == content


def test_a_directory_that_is_not_there_is_unreachable(tmp_path):
    with pytest.raises(Unreachable):
        Ledger.open(sqlite_url(tmp_path / "missing" / "ledger.sqlite"))


def test_a_lock_held_too_long_is_said_in_words_and_goes_by(ledger, desk, path, monkeypatch):
    desk.open()
    ledger.close()
    monkeypatch.setattr(sqlite, "BUSY_MS", 30)
    holder = sqlite3.connect(path, isolation_level=None)
    with Ledger.open(sqlite_url(path)) as other:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unreachable, match="locked"):
            Desk(other).do("pause")
        assert other.account("shop").status == "ACTIVE"  # readers go on while a writer prepares
        holder.execute("COMMIT")
        holder.execute("BEGIN")
        holder.execute("SELECT * FROM meta").fetchall()  # a reader that froze: it holds up the commit alone
        with pytest.raises(Unreachable, match="locked"):
            Desk(other).do("pause")
        holder.execute("COMMIT")
        assert other.head().version == 1
        assert Desk(other).do("pause").version == 2
        assert other.verify_projections() == []
    holder.close()


def test_reading_the_head_loads_no_alembic(ledger, path):
    """It takes a tenth of a second to import, which every command would pay."""
    code = (
        "import sys; from pathlib import Path; from gating.ledger import Ledger, sqlite_url;"
        "Ledger.open(sqlite_url(Path(sys.argv[1]))).head(); print('alembic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
