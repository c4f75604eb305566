"""PostgreSQL's transactions: who waits for whom, what gives way and is run again, what is cut short."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from gating.errors import DataDirectoryUnknown, InputInvalid, Unreachable
from gating.ledger import Ledger, postgres
from gating.ledger.retry import CONFLICT_TRIES_MAX
from gating.ledger.store import Conflict, Turn
from gating.ledger.tables import metadata
from tests.eventually import eventually
from tests.gating.ledger.desk import OPERATOR, Desk


@pytest.fixture
def url(postgres_server):
    return postgres_server.database(icu=True)


@pytest.fixture
def admin(url):
    """A superuser beside the ledger."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def waiting(admin, event=None):
    """Backends of this database that wait for a lock (of a kind)."""
    rows = admin.execute(
        "SELECT wait_event FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchall()
    return [row for row in rows if event in (None, row[0])]


def test_a_writer_reads_what_the_one_it_waited_for_committed(url, ledger, desk, admin):
    """DESIGN 6: a locked counter. Under REPEATABLE READ the second would have its snapshot from before its wait."""
    desk.open()
    begun, end = threading.Event(), threading.Event()

    def first():
        with ledger.begin() as transaction:
            transaction.add_key("shop", at_us=desk.now_us, who=OPERATOR)
            begun.set()
            assert end.wait(10)

    def second():
        with Ledger.open(url) as other, other.begin() as transaction:
            return transaction.head, transaction.account("shop").version, len(transaction.keys("shop"))

    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(first)
        assert begun.wait(10)
        behind = threads.submit(second)
        eventually(lambda: waiting(admin, "advisory"))
        end.set()
        running.result(10)
        assert behind.result(10) == (2, 2, 2)


def test_a_block_of_reads_sees_one_state(ledger, desk):
    """What is read together agrees, whatever is committed in between."""
    desk.open()
    with ledger._store.reading() as connection:
        before = connection.exec_driver_sql("SELECT head FROM meta").scalar()
        desk.add_key()
        assert connection.exec_driver_sql("SELECT head FROM meta").scalar() == before == 1
        assert connection.exec_driver_sql("SELECT count(*) FROM keys").scalar() == 1


def test_the_lead_goes_on_while_a_change_takes_long(ledger, desk):
    """A leader that could not renew its term during a long sweep would lose the lead."""
    desk.open()
    with ledger.begin() as transaction:
        transaction.add_key("shop", at_us=desk.now_us, who=OPERATOR)
        assert ledger.take_term("a", 0, 10, "boot").number == 1
        assert ledger.renew_term(1, 20)
        assert ledger.record_enforced(1, 1)
    assert ledger.head().version == 2


def test_two_that_take_a_term_at_once_get_two_numbers(url, ledger):
    with Ledger.open(url) as other, ThreadPoolExecutor(8) as threads:
        services = [(ledger, "a"), (other, "a")] * 20
        terms = list(threads.map(lambda one: one[0].take_term(one[1], 0, 10, "boot").number, services))
    assert sorted(terms) == list(range(1, 41))


def test_services_that_open_an_empty_database_at_once_make_one_ledger(url):
    with ThreadPoolExecutor(6) as threads:
        ledgers = list(threads.map(lambda _: Ledger.open(url), range(6)))
    assert len({ledger.head() for ledger in ledgers}) == 1
    for ledger in ledgers:
        ledger.close()


# ---- giving way ------------------------------------------------------------------------------------------------------


def test_a_change_that_was_undone_in_a_deadlock_is_run_again_whole(ledger, desk, admin, url):
    desk.open()
    runs, done = [], threading.Event()
    with ThreadPoolExecutor(1) as threads, psycopg.connect(url) as by_hand:
        by_hand.execute("SET deadlock_timeout = '1h'")  # so that the ledger's own transaction is the one that is undone
        by_hand.execute("SELECT 1 FROM accounts WHERE id = 'shop' FOR UPDATE")

        def grab_counter():
            by_hand.execute("UPDATE meta SET head = head")
            by_hand.commit()
            done.set()

        def block(transaction):
            runs.append(transaction.head)
            if len(runs) == 1:
                threads.submit(grab_counter)
                eventually(lambda: waiting(admin))
            return transaction.add_key("shop", at_us=desk.now_us, who=OPERATOR)

        assert ledger.change(block).version == 2
        assert done.wait(10)
    assert runs == [1, 1]
    assert ledger.verify_history() == ledger.verify_projections() == []
    assert [row.version for row in ledger.outbox()] == [1, 2]


def fail_serialization(admin, times):
    """The server's own error 40001, for the first inserts into the history."""
    admin.execute("CREATE SEQUENCE tries")  # counts on through rolled back transactions
    admin.execute(
        "CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF nextval('tries') <= {times} THEN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END IF;"
        " RETURN NEW; END $$"
    )
    admin.execute("CREATE TRIGGER conflict BEFORE INSERT ON history FOR EACH ROW EXECUTE FUNCTION conflict()")


def test_a_serialization_failure_is_tried_again(ledger, desk, admin):
    desk.open()
    fail_serialization(admin, CONFLICT_TRIES_MAX - 1)
    change = ledger.change(lambda transaction: transaction.add_key("shop", at_us=desk.now_us, who=OPERATOR))
    assert change.version == ledger.head().version == 2
    assert ledger.verify_history() == ledger.verify_projections() == []


def test_what_goes_on_conflicting_is_given_up_and_nothing_was_changed(ledger, desk, admin):
    desk.open()
    fail_serialization(admin, 1_000)
    with pytest.raises(Conflict, match="nothing was changed"):
        ledger.change(lambda transaction: transaction.add_key("shop", at_us=desk.now_us, who=OPERATOR))
    assert admin.execute("SELECT last_value FROM tries").fetchone() == (CONFLICT_TRIES_MAX,)
    assert ledger.head().version == 1


def test_an_error_of_the_callers_is_not_tried_again(ledger, desk):
    desk.open()
    runs = []

    def block(transaction):
        runs.append(transaction)
        raise LookupError

    with pytest.raises(LookupError):
        ledger.change(block)
    assert len(runs) == 1


# ---- bounds ----------------------------------------------------------------------------------------------------------


def test_every_session_is_bounded_and_durable(url, admin, postgres_server):
    """A commit that was answered survives a crash, even where the server's default says otherwise."""
    admin.execute("ALTER DATABASE {} SET synchronous_commit = off".format(url.rpartition("/")[2]))
    with Ledger.open(url) as ledger, ledger._store.writing() as connection:
        found = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
                         "synchronous_commit", "transaction_isolation")
        }  # fmt: skip
    assert found == {
        "statement_timeout": "15s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "10s",
        "synchronous_commit": "on", "transaction_isolation": "read committed",
    }  # fmt: skip


def test_a_turn_that_does_not_come_is_said_in_words(url, ledger, desk, monkeypatch):
    desk.open()
    monkeypatch.setattr(postgres, "LOCK_SECONDS", 0.05)
    with Ledger.open(url) as other:
        with ledger.begin(), pytest.raises(Unreachable, match="locked: nothing was changed"):
            Desk(other).do("pause")
        with ledger.begin(), pytest.raises(Unreachable, match="locked"):
            other.await_writers()
        assert Desk(other).do("pause").version == 2


def test_a_statement_that_takes_too_long_is_cut_short(url, desk, admin, monkeypatch):
    desk.open()
    monkeypatch.setattr(postgres, "STATEMENT_SECONDS", 0.05)
    with Ledger.open(url) as other:
        with admin.transaction():
            admin.execute("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
            for ask in (lambda: other.account("shop"), lambda: Desk(other).do("pause")):
                with pytest.raises(Unreachable, match="in time: nothing was changed"):
                    ask()
        assert other.account("shop").version == 1


def test_a_process_that_stands_still_in_a_transaction_loses_it_and_holds_nobody_up(url, desk, admin, monkeypatch):
    desk.open()
    monkeypatch.setattr(postgres, "IDLE_SECONDS", 0.05)
    with Ledger.open(url) as frozen:

        def stand_still(transaction):
            transaction.add_key("shop", at_us=desk.now_us, who=OPERATOR)
            assert desk.do("pause").version == 2  # waits until the server has ended the other

        with pytest.raises(Unreachable, match="stood still"):
            frozen.change(stand_still)
        assert desk.ledger.head().version == 2
        assert frozen.head().version == 2


def test_connections_are_bounded(ledger, desk, monkeypatch):
    desk.open()
    monkeypatch.setattr(ledger._store._engine.pool, "_timeout", 0.05)
    with pytest.raises(Unreachable, match="stayed in use"):
        take_all(ledger, postgres.CONNECTIONS_MAX + 1)
    assert ledger.head().version == 1


def take_all(ledger, count):
    if count:
        with ledger._store.reading() as connection:
            connection.exec_driver_sql("SELECT 1")
            take_all(ledger, count - 1)


def test_a_broken_constraint_is_a_bug_and_stays_one(ledger):
    from sqlalchemy.exc import IntegrityError

    with pytest.raises(IntegrityError), ledger._store.writing(Turn.NOTE) as connection:
        connection.exec_driver_sql("INSERT INTO keys VALUES ('k', 'nobody', NULL, 0, 0, NULL)")


# ---- whose database it is --------------------------------------------------------------------------------------------


def test_another_programs_tables_are_refused_and_left_alone(url, admin):
    admin.execute("CREATE TABLE cookies (id int)")
    for opening in (Ledger.open, Ledger.open_reading, Ledger.exists):
        with pytest.raises(DataDirectoryUnknown, match="cookies"):
            opening(url)
    assert admin.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (1,)


def test_a_schema_of_its_own_in_a_shared_database(url, admin):
    """Only the first schema of search_path counts; others may hold whatever they hold, another ledger even."""
    admin.execute("CREATE TABLE cookies (id int)")
    admin.execute("CREATE SCHEMA one; CREATE SCHEMA two")
    with Ledger.open(f"{url}?options=-csearch_path%3Done,public") as one:
        Desk(one).open()
        with Ledger.open(f"{url}?options=-csearch_path%3Dtwo,one") as two:
            assert two.head().version == 0
            assert two.head().epoch != one.head().epoch
    assert (
        admin.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'one'").fetchone()[0]
        == len(metadata.tables) + 1
    )
    with pytest.raises(Unreachable, match="no schema"):
        Ledger.open(f"{url}?options=-csearch_path%3Dnowhere")


def test_a_newer_releases_ledger_is_refused(url, admin):
    Ledger.open(url).close()
    admin.execute("UPDATE alembic_version SET version_num = '9999'")
    for opening in (Ledger.open, Ledger.open_reading):
        with pytest.raises(DataDirectoryUnknown, match="9999"):
            opening(url)


def test_a_database_that_cannot_hold_every_text_is_refused(postgres_server, admin):
    admin.execute("CREATE DATABASE narrow ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
    with pytest.raises(DataDirectoryUnknown, match="UTF8"):
        Ledger.open(postgres_server.url_of("narrow"))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg"])
def test_a_url_may_be_written_as_other_tools_write_it(url, scheme):
    with Ledger.open(url.replace("postgresql", scheme, 1)) as ledger:
        assert ledger.head().version == 0


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret@h:port/d", "postgresql://%zz:secret@h/d", "postgresql+asyncpg://u:secret@h/d",
            "mysql://u:secret@h/d", "postgresql://u:secret@h/d?nosuch=1"],
)  # fmt: skip
def test_a_url_that_does_not_read_is_refused_without_repeating_it(url):
    with pytest.raises(InputInvalid) as told:
        Ledger.open(url)
    assert "secret" not in str(told.value)


def test_a_server_that_is_not_there_is_unreachable_in_one_line_without_the_password(postgres_server):
    from tests.processes import free_port

    nowhere = f"postgresql://somebody:secret@127.0.0.1:{free_port()}/pixelgate"
    for url in (nowhere, postgres_server.url_of("no_such_database")):
        with pytest.raises(Unreachable) as told:
            Ledger.open(url)
        assert "\n" not in str(told.value)
        assert "secret" not in str(told.value)


def test_the_migrations_make_exactly_the_tables_that_are_used(url, ledger):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql", "postgresql+psycopg", 1))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_every_id_and_key_is_ordered_by_its_bytes(ledger, admin):
    """An index that follows the host's locale breaks when the operating system's rules change."""
    rows = admin.execute(
        "SELECT c.relname, a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
        " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
        " JOIN pg_collation l ON l.oid = a.attcollation AND l.collname <> 'C'"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'"
    ).fetchall()
    assert rows == []
