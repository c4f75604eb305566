-- The scaled-out warehouse's statements, one name each, loaded by clickhouse.py; `{name:Type}` is bound by the server.
--
-- about        the format of these tables
-- events       what is settled: accepted, or hidden with the version that hid it
-- unverified   what waits for the ledger's history; nothing but an operator's count and settlement ever reads it
-- streams      of each stream the highest sequence covered, and up to where a batch was once begun
-- missing      sequences that were answered and could not be read any more
-- gone         the ids of what was kept in a journal and is in no table here, by reason
-- again        the ids of what was taken out of order (`append`'s `again`): should its place in a stream come, it is known
-- unannounced  the ids of what was settled as accepted and is still to be told to others; empty unless asked for
-- tombstones   purged accounts with their write keys, a row a key: their events are refused; since when, and when a
--              deletion of theirs last ended
-- leaving      the ids of the settlement in hand, by pass: they are being deleted from `unverified`
--
-- ClickHouse has no transaction over statements. Instead every table is one in which a row written twice is one: it is
-- sorted by what tells its rows apart, and merges and reads (FINAL, max) keep a single one. So any statement may be
-- repeated; clickhouse.py says in which order they come so that a death between any two loses and doubles nothing.
-- FINAL costs a read two to five times its CPU (one thread, a million rows in ten parts, chDB 26.9: an account's count
-- of visitors 42 ms instead of 8, all counted by journal 67 instead of 10): a report never shows an event twice for that.
--
-- Order: `events` by account, then time: a report or an export reads one account's period as one stretch, in the order
-- in which an export gives it; the id makes the order total and is what a repetition is replaced by. `unverified` by
-- write key, as it is settled. Partitions: a month of events, an hour of unverified ones: a mutation writes anew
-- whole parts, and what an outage left is settled oldest first. Retention: none, events stay until their account goes.
-- An operator who wants one sets it on the table, and nothing here undoes it:
--     ALTER TABLE events MODIFY TTL toDateTime(received_at) + INTERVAL 13 MONTH
-- (`verify` then counts fewer events than the journals had.) The ids in `gone` and `again` must outlive what may be sent
-- again.
--
-- Every insert and merge is synced before it counts, as a journal goes once its events are here. What a merge or a
-- mutation has replaced stays on disk for old_parts_lifetime and is unlinked then, by a cleaner that comes by at least
-- every max_cleanup_delay_period: within some two minutes (docs/clickhouse.md).

-- name: create_about
CREATE TABLE IF NOT EXISTS about (format UInt32) ENGINE = ReplacingMergeTree ORDER BY format
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- name: create_events
CREATE TABLE IF NOT EXISTS events (
    journal     LowCardinality(String),
    sequence    UInt64 CODEC(Delta, LZ4),
    received_at DateTime64(6, 'UTC') CODEC(Delta, LZ4),
    account     LowCardinality(String),
    write_key   LowCardinality(String),
    verdict     Enum8('ACCEPT' = 1, 'HIDE' = 2), -- gating.status.Verdict
    verified    Bool,
    version     UInt64,
    name        LowCardinality(String),
    url         Nullable(String),
    referrer    Nullable(String),
    visitor     Nullable(String),
    user        Nullable(String),
    client_time Nullable(DateTime64(6, 'UTC')),  -- beyond 1900 to 2299 the number is right, its text is not
    client_id   Nullable(String),
    tracker     LowCardinality(String),
    ip          Nullable(String),
    user_agent  Nullable(String),
    language    Nullable(String),
    params      String,                          -- JSON
    client_hash UInt64                           -- of account, key and client_id: narrow, so that a day of it is read in ms
) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(received_at) ORDER BY (account, received_at, journal, sequence)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 60,
    cleanup_delay_period = 10, cleanup_delay_period_random_add = 10, max_cleanup_delay_period = 60;

-- name: create_unverified
CREATE TABLE IF NOT EXISTS unverified AS events
ENGINE = ReplacingMergeTree PARTITION BY toStartOfHour(received_at) ORDER BY (write_key, received_at, journal, sequence)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 60,
    cleanup_delay_period = 10, cleanup_delay_period_random_add = 10, max_cleanup_delay_period = 60;

-- name: create_streams
CREATE TABLE IF NOT EXISTS streams (
    stream  String,
    highest SimpleAggregateFunction(max, UInt64),
    begun   SimpleAggregateFunction(max, UInt64)
) ENGINE = AggregatingMergeTree ORDER BY stream
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- name: create_missing
CREATE TABLE IF NOT EXISTS missing (journal String, first UInt64, last UInt64)
ENGINE = ReplacingMergeTree ORDER BY (journal, first, last)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- name: create_gone
CREATE TABLE IF NOT EXISTS gone (journal String, sequence UInt64, reason LowCardinality(String))
ENGINE = ReplacingMergeTree ORDER BY (journal, sequence)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- name: create_again
CREATE TABLE IF NOT EXISTS again (journal String, sequence UInt64) ENGINE = ReplacingMergeTree ORDER BY (journal, sequence)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- name: create_unannounced
CREATE TABLE IF NOT EXISTS unannounced (journal String, sequence UInt64, received_at DateTime64(6, 'UTC'))
ENGINE = ReplacingMergeTree ORDER BY (received_at, journal, sequence)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- name: create_leaving
CREATE TABLE IF NOT EXISTS leaving (pass String, journal String, sequence UInt64, received_at DateTime64(6, 'UTC'))
ENGINE = ReplacingMergeTree ORDER BY (pass, received_at, journal, sequence)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- name: create_tombstones
CREATE TABLE IF NOT EXISTS tombstones (
    account String, write_key String,
    since   SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    deleted SimpleAggregateFunction(max, DateTime64(3, 'UTC'))  -- 1970 until then
) ENGINE = AggregatingMergeTree ORDER BY (account, write_key)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- name: create_seen
-- Every read for a person starts here: one account, one period, `visible` decided by the view (I11).
CREATE OR REPLACE VIEW seen AS
SELECT *, (verdict = 'ACCEPT' OR (verdict = 'HIDE' AND version < {revealed:UInt64})) AS visible FROM events FINAL
WHERE account = {of_account:String} AND verified
    AND received_at >= fromUnixTimestamp64Micro({from_us:Int64}) AND received_at < fromUnixTimestamp64Micro({to_us:Int64});

-- name: tables
SELECT name FROM system.tables WHERE database = currentDatabase() AND NOT is_temporary;

-- name: format
SELECT max(format) FROM about;

-- name: set_format
INSERT INTO about SELECT {format:UInt32};

-- name: highest
SELECT stream, max(highest), max(begun) FROM streams GROUP BY stream;

-- name: empty
TRUNCATE TABLE {table:Identifier};

-- name: incoming
-- The wire's own JSON (collector/event.py) as it is read in, and beside it what the tables hold instead. Its two times
-- are put together from their digits: ClickHouse reads the years 1900 to 2299 alone, the wire has 1 to 9999. (Days since
-- 1970 of a year that begins in March, as Howard Hinnant's days_from_civil counts them.)
CREATE OR REPLACE TEMPORARY TABLE incoming (
    id String, received_at String, account String, write_key String, verdict String, verified Bool, version UInt64,
    name String, url Nullable(String), referrer Nullable(String), visitor Nullable(String), user Nullable(String),
    client_time Nullable(String), client_id Nullable(String), tracker String, ip Nullable(String),
    user_agent Nullable(String), language Nullable(String), params String,
    journal String MATERIALIZED substring(id, 1, 32),
    sequence UInt64 MATERIALIZED toUInt64(substring(id, 34)),
    received DateTime64(6, 'UTC') MATERIALIZED fromUnixTimestamp64Micro(
        (toInt64((toInt32(substring(received_at, 1, 4)) - (toUInt8(substring(received_at, 6, 2)) <= 2)) * 365
            + intDiv(toInt32(substring(received_at, 1, 4)) - (toUInt8(substring(received_at, 6, 2)) <= 2), 4)
            - intDiv(toInt32(substring(received_at, 1, 4)) - (toUInt8(substring(received_at, 6, 2)) <= 2), 100)
            + intDiv(toInt32(substring(received_at, 1, 4)) - (toUInt8(substring(received_at, 6, 2)) <= 2), 400)
            + intDiv(153 * ((toInt32(substring(received_at, 6, 2)) + 9) % 12) + 2, 5)
            + toInt32(substring(received_at, 9, 2)) - 719469) * 86400
        + toInt64(substring(received_at, 12, 2)) * 3600 + toInt64(substring(received_at, 15, 2)) * 60
        + toInt64(substring(received_at, 18, 2))) * 1000000 + toInt64(substring(received_at, 21, 6)), 'UTC'),
    client_us Nullable(DateTime64(6, 'UTC')) MATERIALIZED fromUnixTimestamp64Micro(
        (toInt64((toInt32(substring(client_time, 1, 4)) - (toUInt8(substring(client_time, 6, 2)) <= 2)) * 365
            + intDiv(toInt32(substring(client_time, 1, 4)) - (toUInt8(substring(client_time, 6, 2)) <= 2), 4)
            - intDiv(toInt32(substring(client_time, 1, 4)) - (toUInt8(substring(client_time, 6, 2)) <= 2), 100)
            + intDiv(toInt32(substring(client_time, 1, 4)) - (toUInt8(substring(client_time, 6, 2)) <= 2), 400)
            + intDiv(153 * ((toInt32(substring(client_time, 6, 2)) + 9) % 12) + 2, 5)
            + toInt32(substring(client_time, 9, 2)) - 719469) * 86400
        + toInt64(substring(client_time, 12, 2)) * 3600 + toInt64(substring(client_time, 15, 2)) * 60
        + toInt64(substring(client_time, 18, 2))) * 1000000 + toInt64(substring(client_time, 21, 6)), 'UTC'),
    client_hash UInt64 MATERIALIZED if(client_id IS NULL, 0,
        sipHash64(account, write_key, ifNull(client_id, '')))
) ENGINE = Memory;

-- name: aside
-- What of `incoming` goes into no table of events, and why: known, duplicate or settled_away.
CREATE OR REPLACE TEMPORARY TABLE aside (journal String, sequence UInt64, reason String) ENGINE = Memory;

-- name: suspects
-- What is to be looked up by id.
CREATE OR REPLACE TEMPORARY TABLE suspects (journal String, sequence UInt64, received DateTime64(6, 'UTC')) ENGINE = Memory;

-- name: suspect_incoming
INSERT INTO suspects SELECT journal, sequence, received FROM incoming;

-- name: sent_again
CREATE OR REPLACE TEMPORARY TABLE sent_again ENGINE = Memory AS SELECT journal, sequence, received FROM incoming;

-- name: suspect_sent_again
INSERT INTO suspects SELECT journal, sequence, received FROM sent_again;

-- name: keep_sent_again
-- A client's retry is among them: it was judged, and is known when its place in a stream comes.
INSERT INTO again SELECT journal, sequence FROM sent_again
WHERE (journal, sequence) NOT IN (SELECT journal, sequence FROM aside WHERE reason = 'known');

-- name: aside_taken_again
INSERT INTO aside SELECT DISTINCT journal, sequence, 'known' FROM again
WHERE (journal, sequence) IN (SELECT journal, sequence FROM incoming);

-- name: aside_taken_again_but
-- What is sent again itself: whether it was taken the other tables tell, as this one is written to before them.
INSERT INTO aside SELECT DISTINCT journal, sequence, 'known' FROM again
WHERE (journal, sequence) IN (SELECT journal, sequence FROM incoming)
    AND (journal, sequence) NOT IN (SELECT journal, sequence FROM sent_again);

-- name: facts
SELECT count(), countIf(NOT verified), countIf(client_hash != 0), (SELECT count() FROM again),
    (SELECT count() FROM tombstones) FROM incoming;

-- name: suspects_times
SELECT toUnixTimestamp64Micro(min(received)), toUnixTimestamp64Micro(max(received)) FROM suspects;

-- name: aside_events
INSERT INTO aside SELECT DISTINCT journal, sequence, 'known' FROM events
WHERE received_at BETWEEN fromUnixTimestamp64Micro({first_us:Int64}) AND fromUnixTimestamp64Micro({last_us:Int64})
    AND (journal, sequence) IN (SELECT journal, sequence FROM suspects);

-- name: aside_unverified
INSERT INTO aside SELECT DISTINCT journal, sequence, 'known' FROM unverified
WHERE received_at BETWEEN fromUnixTimestamp64Micro({first_us:Int64}) AND fromUnixTimestamp64Micro({last_us:Int64})
    AND (journal, sequence) IN (SELECT journal, sequence FROM suspects);

-- name: aside_gone
INSERT INTO aside SELECT DISTINCT journal, sequence, 'known' FROM gone
WHERE (journal, sequence) IN (SELECT journal, sequence FROM suspects);

-- name: repeats_within
INSERT INTO aside SELECT journal, sequence, 'duplicate' FROM (
    SELECT journal, sequence, toUnixTimestamp64Micro(received) AS at, row_number() OVER same AS place,
        first_value(toUnixTimestamp64Micro(received)) OVER same AS first
    FROM incoming
    WHERE client_hash != 0 AND verified AND (journal, sequence) NOT IN (SELECT journal, sequence FROM aside)
    WINDOW same AS (PARTITION BY account, write_key, client_id ORDER BY received, journal, sequence))
WHERE place > 1 AND at - first <= {window_us:Int64};

-- name: repeats_times
SELECT toUnixTimestamp64Micro(min(received)), toUnixTimestamp64Micro(max(received)) FROM incoming WHERE client_hash != 0;

-- name: repeats_before
INSERT INTO aside SELECT DISTINCT i.journal, i.sequence, 'duplicate'
FROM (
    SELECT account, write_key, client_id, received_at FROM events
    WHERE account IN (SELECT account FROM incoming WHERE client_hash != 0)
        AND received_at >= fromUnixTimestamp64Micro({low_us:Int64})
        AND received_at <= fromUnixTimestamp64Micro({high_us:Int64})
        AND client_hash IN (SELECT client_hash FROM incoming WHERE client_hash != 0)) AS e
INNER JOIN (
    SELECT journal, sequence, account, write_key, client_id, received FROM incoming
    WHERE client_hash != 0 AND verified AND (journal, sequence) NOT IN (SELECT journal, sequence FROM aside)) AS i
ON i.account = e.account AND i.write_key = e.write_key AND i.client_id = e.client_id
WHERE abs(toUnixTimestamp64Micro(i.received) - toUnixTimestamp64Micro(e.received_at)) <= {window_us:Int64};

-- name: any_tombstones
SELECT count() FROM tombstones;

-- name: aside_purged
-- Before anything is judged, and once more after the events were written: whatever tombstone came in between kept them
-- out of the tables (`keep_events`), or lies before the deletion that follows it.
INSERT INTO aside SELECT journal, sequence, 'purged' FROM incoming
WHERE (account IN (SELECT account FROM tombstones)
        OR (account = '' AND write_key IN (SELECT write_key FROM tombstones)))
    AND (journal, sequence) NOT IN (SELECT journal, sequence FROM aside);

-- name: kept
SELECT countIf(verified), countIf(NOT verified), (SELECT count() FROM aside WHERE reason = 'duplicate'),
    (SELECT count() FROM aside WHERE reason = 'purged') FROM incoming
WHERE (journal, sequence) NOT IN (SELECT journal, sequence FROM aside);

-- name: keep_events
INSERT INTO events SELECT
    journal, sequence, received, account, write_key, verdict, verified, version, name, url, referrer, visitor, user,
    client_us, client_id, tracker, ip, user_agent, language, params, client_hash
FROM incoming WHERE verified AND (journal, sequence) NOT IN (SELECT journal, sequence FROM aside)
    AND account NOT IN (SELECT account FROM tombstones);

-- name: keep_unverified
INSERT INTO unverified SELECT
    journal, sequence, received, account, write_key, verdict, verified, version, name, url, referrer, visitor, user,
    client_us, client_id, tracker, ip, user_agent, language, params, client_hash
FROM incoming WHERE NOT verified AND (journal, sequence) NOT IN (SELECT journal, sequence FROM aside)
    AND account NOT IN (SELECT account FROM tombstones)
    AND NOT (account = '' AND write_key IN (SELECT write_key FROM tombstones));

-- name: keep_gone
INSERT INTO gone SELECT journal, sequence, reason FROM aside WHERE reason != 'known';

-- name: unsettled
SELECT write_key, toUnixTimestamp64Micro(min(received_at)) AS first_us, toUnixTimestamp64Micro(max(received_at)), count()
FROM unverified FINAL WHERE received_at < fromUnixTimestamp64Micro({before_us:Int64})
GROUP BY write_key ORDER BY first_us, write_key LIMIT {keys_max:UInt64};

-- name: rulings
CREATE OR REPLACE TEMPORARY TABLE rulings (
    write_key String, since_us Int64, account String, verdict UInt8, version UInt64) ENGINE = Memory;

-- name: settling
CREATE OR REPLACE TEMPORARY TABLE incoming ENGINE = Memory AS
SELECT
    u.journal AS journal, u.sequence AS sequence, u.received_at AS received, r.account AS account,
    u.write_key AS write_key, multiIf(r.verdict = 1, 'ACCEPT', r.verdict = 2, 'HIDE', 'DROP') AS verdict,
    true AS verified, r.version AS version, u.name AS name, u.url AS url, u.referrer AS referrer,
    u.visitor AS visitor, u.user AS user, u.client_time AS client_us, u.client_id AS client_id, u.tracker AS tracker,
    u.ip AS ip, u.user_agent AS user_agent, u.language AS language, u.params AS params,
    if(u.client_id IS NULL, 0, sipHash64(r.account, u.write_key, ifNull(u.client_id, ''))) AS client_hash
FROM (
    SELECT *, toUnixTimestamp64Micro(received_at) AS at_us, toString(write_key) AS ruled_key FROM unverified FINAL
    WHERE received_at < fromUnixTimestamp64Micro({before_us:Int64})
        AND write_key IN (SELECT write_key FROM rulings)
    ORDER BY received_at, journal, sequence LIMIT {events_max:UInt64}) AS u
ASOF INNER JOIN rulings AS r ON u.ruled_key = r.write_key AND u.at_us >= r.since_us;

-- name: aside_dropped
INSERT INTO aside SELECT journal, sequence, 'settled_away' FROM incoming
WHERE verdict = 'DROP' AND (journal, sequence) NOT IN (SELECT journal, sequence FROM aside);

-- name: settled
SELECT countIf(verdict = 'ACCEPT' AND reason = ''), countIf(verdict = 'HIDE' AND reason = ''),
    countIf(reason = 'settled_away'), countIf(reason = 'duplicate')
FROM incoming AS i LEFT JOIN aside AS a ON i.journal = a.journal AND i.sequence = a.sequence;

-- name: begin_leaving
INSERT INTO leaving SELECT {pass:String}, journal, sequence, received FROM incoming;

-- name: keep_unannounced
INSERT INTO unannounced SELECT journal, sequence, received FROM incoming
WHERE verdict = 'ACCEPT' AND (journal, sequence) NOT IN (SELECT journal, sequence FROM aside);

-- name: delete_settled
-- A mutation and no DELETE FROM: that would only mark the rows, and leave the bytes of dropped ones in place (I9).
ALTER TABLE unverified DELETE
WHERE (journal, sequence) IN (SELECT journal, sequence FROM leaving WHERE pass = {pass:String});

-- name: any_leaving
SELECT count(), toUnixTimestamp64Micro(min(received_at)), toUnixTimestamp64Micro(max(received_at)) FROM leaving;

-- name: delete_settled_before
ALTER TABLE unverified DELETE
WHERE (journal, sequence) IN (SELECT journal, sequence FROM leaving)
    AND ((journal, sequence) IN (SELECT journal, sequence FROM gone)
        OR (journal, sequence) IN (SELECT journal, sequence FROM events
            WHERE received_at BETWEEN fromUnixTimestamp64Micro({first_us:Int64}) AND fromUnixTimestamp64Micro({last_us:Int64})
                AND (journal, sequence) IN (SELECT journal, sequence FROM leaving)));

-- name: end_leaving
TRUNCATE TABLE leaving;

-- name: unannounced
SELECT
    concat(journal, '-', toString(sequence)), toUnixTimestamp64Micro(received_at), account, write_key,
    toUInt8(verdict), verified, version, name, url, referrer, visitor, user, toUnixTimestamp64Micro(client_time),
    client_id, tracker, ip, user_agent, language, params
FROM events FINAL
WHERE received_at >= (SELECT min(received_at) FROM unannounced) AND received_at <= (SELECT max(received_at) FROM unannounced)
    AND (journal, sequence) IN (SELECT journal, sequence FROM unannounced)
ORDER BY received_at, journal, sequence LIMIT {limit:UInt64};

-- name: forget_unannounced
ALTER TABLE unannounced DELETE WHERE concat(journal, '-', toString(sequence)) IN {ids:Array(String)};

-- name: tombstones
SELECT DISTINCT account FROM tombstones;

-- name: add_tombstone
INSERT INTO tombstones SELECT {account:String}, {write_key:String}, now64(3), toDateTime64(0, 3)
WHERE (SELECT count() FROM tombstones WHERE account = {account:String} AND write_key = {write_key:String}) = 0;

-- name: bury
-- Twice is once: `gone` is sorted by what tells its rows apart.
INSERT INTO gone SELECT DISTINCT journal, sequence, 'purged' FROM events
WHERE account IN (SELECT account FROM tombstones);

-- name: bury_unverified
INSERT INTO gone SELECT DISTINCT journal, sequence, 'purged' FROM unverified
WHERE account IN (SELECT account FROM tombstones)
    OR (account = '' AND write_key IN (SELECT write_key FROM tombstones));

-- name: delete_purged
ALTER TABLE events DELETE WHERE account IN (SELECT account FROM tombstones);

-- name: delete_purged_unverified
ALTER TABLE unverified DELETE WHERE account IN (SELECT account FROM tombstones)
    OR (account = '' AND write_key IN (SELECT write_key FROM tombstones));

-- name: delete_purged_unannounced
ALTER TABLE unannounced DELETE
WHERE (journal, sequence) IN (SELECT journal, sequence FROM gone WHERE reason = 'purged');

-- name: note_deleted
INSERT INTO tombstones SELECT account, write_key, min(since), now64(3) FROM tombstones GROUP BY account, write_key;

-- name: purge_owes
-- Tombstones that are younger than a statement of another writer may be, of whose deletion nothing is noted; parts that
-- were replaced by the last deletion noted and still lie on the disk.
SELECT
    (SELECT count() FROM (SELECT min(since) AS first FROM tombstones GROUP BY account)
        WHERE first > now64(3) - toIntervalSecond({fence_seconds:UInt32})),
    (SELECT count() FROM (SELECT max(deleted) AS last FROM tombstones GROUP BY account, write_key)
        WHERE last < toDateTime64('1971-01-01 00:00:00', 3, 'UTC')),
    (SELECT count() FROM system.parts WHERE database = currentDatabase() AND table IN ('events', 'unverified')
        AND NOT active AND remove_time <= (SELECT max(deleted) FROM tombstones) + toIntervalSecond(1));

-- name: buried_left
SELECT (SELECT count() FROM events WHERE account IN (SELECT account FROM tombstones)),
    (SELECT count() FROM unverified WHERE account IN (SELECT account FROM tombstones)
        OR (account = '' AND write_key IN (SELECT write_key FROM tombstones)));

-- name: remains
SELECT (SELECT count() FROM events FINAL WHERE account = {account:String}),
    (SELECT count() FROM unverified FINAL WHERE account = {account:String}
        OR (account = '' AND has({keys:Array(String)}, toString(write_key))));

-- name: write_off
INSERT INTO gone SELECT DISTINCT substring(id, 1, 32), toUInt64(substring(id, 34)), 'purged'
FROM (SELECT arrayJoin({ids:Array(String)}) AS id)
WHERE (substring(id, 1, 32), toUInt64(substring(id, 34))) NOT IN (SELECT journal, sequence FROM gone);

-- name: count_unverified_until
SELECT count() FROM unverified FINAL WHERE received_at <= fromUnixTimestamp64Micro({until_us:Int64});

-- name: journal_events
SELECT journal, count() FROM events FINAL GROUP BY journal;

-- name: journal_unverified
SELECT journal, count() FROM unverified FINAL GROUP BY journal;

-- name: tallies
SELECT journal, reason, count() FROM gone FINAL GROUP BY journal, reason;

-- name: all_missing
SELECT DISTINCT journal, first, last FROM missing ORDER BY journal, first, last;

-- name: active
-- Without FINAL: a row that will be replaced or was taken away was received all the same.
SELECT account, toUnixTimestamp64Micro(max(received_at)) FROM events
WHERE received_at >= fromUnixTimestamp64Micro({since_us:Int64}) AND account > {after:String}
GROUP BY account ORDER BY account LIMIT {limit:UInt64};

-- name: counts
-- One statement, so that the figures of a report agree: all its parts read the same rows.
SELECT kind, CAST(NULL, 'Nullable(String)') AS value, n FROM (
    SELECT [countIf(visible), countIf(NOT visible), uniqExactIf(visitor, visible)] AS figures
    FROM seen(of_account = {account:String}, revealed = {revealed:UInt64}, from_us = {from_us:Int64}, to_us = {to_us:Int64}))
ARRAY JOIN ['visible', 'hidden', 'visitors'] AS kind, figures AS n
UNION ALL
SELECT 'mtu', NULL, uniqExactIf(visitor, visible OR {hidden_too:Bool})
FROM seen(of_account = {account:String}, revealed = {revealed:UInt64}, from_us = {month_from_us:Int64}, to_us = {month_to_us:Int64})
UNION ALL
SELECT 'by_name', value, n FROM (
    SELECT toNullable(toString(name)) AS value, count() AS n
    FROM seen(of_account = {account:String}, revealed = {revealed:UInt64}, from_us = {from_us:Int64}, to_us = {to_us:Int64})
    WHERE visible GROUP BY value ORDER BY n DESC, value NULLS LAST LIMIT {groups_max:UInt64})
UNION ALL
SELECT 'by_day', value, n FROM (
    SELECT toNullable(toString(toDate32(received_at))) AS value, count() AS n
    FROM seen(of_account = {account:String}, revealed = {revealed:UInt64}, from_us = {from_us:Int64}, to_us = {to_us:Int64})
    WHERE visible GROUP BY value)
UNION ALL
SELECT 'by_page', value, n FROM (
    SELECT cutQueryString(cutFragment(url)) AS value, count() AS n
    FROM seen(of_account = {account:String}, revealed = {revealed:UInt64}, from_us = {from_us:Int64}, to_us = {to_us:Int64})
    WHERE visible GROUP BY value ORDER BY n DESC, value NULLS LAST LIMIT {groups_max:UInt64})
UNION ALL
SELECT 'by_referrer', value, n FROM (
    SELECT cutQueryString(cutFragment(referrer)) AS value, count() AS n
    FROM seen(of_account = {account:String}, revealed = {revealed:UInt64}, from_us = {from_us:Int64}, to_us = {to_us:Int64})
    WHERE visible GROUP BY value ORDER BY n DESC, value NULLS LAST LIMIT {groups_max:UInt64});

-- name: count_unverified
SELECT count() FROM unverified FINAL
WHERE (account = {account:String} OR (account = '' AND has({keys:Array(String)}, toString(write_key))))
    AND received_at >= fromUnixTimestamp64Micro({from_us:Int64}) AND received_at < fromUnixTimestamp64Micro({to_us:Int64});

-- name: scan
SELECT
    concat(journal, '-', toString(sequence)), toUnixTimestamp64Micro(received_at), account, write_key,
    toUInt8(verdict), verified, version, name, url, referrer, visitor, user, toUnixTimestamp64Micro(client_time),
    client_id, tracker, ip, user_agent, language, params
FROM seen(of_account = {account:String}, revealed = {revealed:UInt64}, from_us = {from_us:Int64}, to_us = {to_us:Int64})
WHERE visible OR {hidden_too:Bool} ORDER BY received_at, journal, sequence;

-- name: parquet
SELECT
    concat(journal, '-', toString(sequence)) AS id, received_at, toString(account) AS account,
    toString(write_key) AS write_key, toString(verdict) AS verdict, verified, version, toString(name) AS name, url,
    referrer, visitor, user, client_time, client_id, toString(tracker) AS tracker, ip, user_agent, language, params
FROM seen(of_account = {account:String}, revealed = {revealed:UInt64}, from_us = {from_us:Int64}, to_us = {to_us:Int64})
WHERE visible OR {hidden_too:Bool} ORDER BY received_at, journal, sequence;
