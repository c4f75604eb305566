-- The embedded warehouse's statements, one name each, loaded by duckdb.py.
--
-- events      what is settled: accepted, or hidden with the version that hid it
-- unverified  what waits for the ledger's history; nothing but an operator's count and settlement ever reads it
-- streams     the highest sequence covered of each stream: written in the events' own transaction (I10)
-- missing     sequences that were answered and could not be read any more
-- tally       what was kept in a journal and is in no table here, by journal and reason
-- gone        the ids of the same: what was settled away or a client's retry does not come back by being sent again
-- again       the ids of what was taken out of order (`append`'s `again`): should its place in a stream come, it is known
-- tombstones  purged accounts with their write keys, a row a key: their events are refused; and whether the bytes of what
--             was deleted are gone from the file too
-- unannounced the ids of what was settled as accepted and is still to be told to others; empty unless asked for
--
-- No indexes and no keys: their upkeep would cost more than all else, and the one writer keeps order by itself.

-- name: schema
CREATE TABLE IF NOT EXISTS about (format UINTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    journal     VARCHAR NOT NULL,
    sequence    UBIGINT NOT NULL,
    received_at TIMESTAMP NOT NULL,    -- microseconds UTC
    account     VARCHAR NOT NULL,
    write_key   VARCHAR NOT NULL,
    verdict     UTINYINT NOT NULL,     -- gating.status.Verdict
    verified    BOOLEAN NOT NULL,
    version     UBIGINT NOT NULL,
    name        VARCHAR,
    url         VARCHAR,
    referrer    VARCHAR,
    visitor     VARCHAR,
    "user"      VARCHAR,
    client_time TIMESTAMP,
    client_id   VARCHAR,
    tracker     VARCHAR,
    ip          VARCHAR,
    user_agent  VARCHAR,
    language    VARCHAR,
    params      JSON,
    client_hash UBIGINT                -- of account, key and client_id: narrow, so that a day of it is read in ms
);
CREATE TABLE IF NOT EXISTS unverified AS FROM events LIMIT 0;
CREATE TABLE IF NOT EXISTS streams (stream VARCHAR NOT NULL, highest UBIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS missing (journal VARCHAR NOT NULL, first UBIGINT NOT NULL, last UBIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS tally (journal VARCHAR NOT NULL, reason VARCHAR NOT NULL, events UBIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS gone (journal VARCHAR NOT NULL, sequence UBIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS again (journal VARCHAR NOT NULL, sequence UBIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS unannounced (
    journal VARCHAR NOT NULL, sequence UBIGINT NOT NULL, received_at TIMESTAMP NOT NULL);
CREATE TABLE IF NOT EXISTS tombstones (account VARCHAR NOT NULL, write_key VARCHAR NOT NULL, bytes_gone BOOLEAN NOT NULL);

-- name: format
SELECT max(format) FROM about;

-- name: set_format
INSERT INTO about VALUES ($format);

-- name: highest
SELECT stream, max(highest) FROM streams GROUP BY stream;

-- name: forget_streams
DELETE FROM streams WHERE list_contains($streams::VARCHAR[], stream);

-- name: set_streams
INSERT INTO streams SELECT unnest($streams::VARCHAR[]), unnest($highest::UBIGINT[]);

-- name: add_missing
INSERT INTO missing SELECT $journal, $first, $last
WHERE NOT EXISTS (FROM missing WHERE journal = $journal AND first = $first AND last = $last);

-- name: tallied
SELECT coalesce(sum(events), 0)::BIGINT FROM tally WHERE journal = $journal AND reason = $reason;

-- name: forget_tally
DELETE FROM tally WHERE journal = $journal AND reason = $reason;

-- name: set_tally
INSERT INTO tally VALUES ($journal, $reason, $events);

-- name: lines
-- The wire's own JSON (collector/event.py), times as text.
CREATE OR REPLACE TEMP MACRO lines(file) AS TABLE
SELECT
    split_part(id, '-', 1) AS journal, split_part(id, '-', 2)::UBIGINT AS sequence, received_at, account, write_key,
    CASE verdict WHEN 'ACCEPT' THEN 1 WHEN 'HIDE' THEN 2 END::UTINYINT AS verdict, verified, version,
    name, url, referrer, visitor, "user", client_time, client_id, tracker, ip, user_agent, language, params,
    CASE WHEN client_id IS NOT NULL
         THEN md5_number_lower(concat_ws(chr(0), account, write_key, client_id)) END AS client_hash
FROM read_json(file, format = 'newline_delimited', maximum_object_size = 4194304, columns = {
    id: 'VARCHAR', received_at: 'TIMESTAMP', account: 'VARCHAR', write_key: 'VARCHAR',
    verdict: 'VARCHAR', verified: 'BOOLEAN', version: 'UBIGINT', name: 'VARCHAR', url: 'VARCHAR', referrer: 'VARCHAR',
    visitor: 'VARCHAR', "user": 'VARCHAR', client_time: 'TIMESTAMP', client_id: 'VARCHAR', tracker: 'VARCHAR',
    ip: 'VARCHAR', user_agent: 'VARCHAR', language: 'VARCHAR', params: 'JSON'});

-- name: take_plain
INSERT INTO events FROM lines($file);

-- name: taken_plain
-- Of the rows that this transaction added: DuckDB numbers those from its MAX_ROW_ID on until they commit.
SELECT count(*), count(client_hash), count(*) FILTER (NOT verified),
    count(*) FILTER (account IN (SELECT account FROM tombstones))
FROM events WHERE rowid >= 36028797018960000;

-- name: load
CREATE OR REPLACE TEMP TABLE incoming AS FROM lines($file);

-- name: again
CREATE OR REPLACE TEMP TABLE sent_again AS FROM incoming;

-- name: any_again
SELECT count(*) FROM again;

-- name: drop_taken_again
DELETE FROM incoming i WHERE EXISTS (FROM again a WHERE a.journal = i.journal AND a.sequence = i.sequence);

-- name: keep_again_ids
-- Found by the range of their times first: zone maps leave out the rest of a large table.
DELETE FROM sent_again s
WHERE EXISTS (FROM gone k WHERE k.journal = s.journal AND k.sequence = s.sequence)
    OR EXISTS (FROM unverified k WHERE k.journal = s.journal AND k.sequence = s.sequence)
    OR EXISTS (FROM (SELECT journal, sequence FROM events
            WHERE received_at BETWEEN (SELECT min(received_at) FROM sent_again) AND (SELECT max(received_at) FROM sent_again)) k
        WHERE k.journal = s.journal AND k.sequence = s.sequence);
INSERT INTO again SELECT journal, sequence FROM sent_again;

-- name: take_again
INSERT INTO incoming FROM sent_again;

-- name: any_tombstones
SELECT count(*) FROM tombstones;

-- name: tombstones
SELECT DISTINCT account FROM tombstones;

-- name: bury_incoming
-- A key alone tells only where its worker did not know the account: keys can be taken over by another one.
CREATE OR REPLACE TEMP TABLE buried AS SELECT journal, sequence FROM incoming
WHERE account IN (SELECT account FROM tombstones)
    OR (account = '' AND write_key IN (SELECT write_key FROM tombstones));

-- name: count_buried
SELECT journal, count(*) FROM buried GROUP BY journal;

-- name: keep_buried_ids
INSERT INTO gone SELECT journal, sequence FROM buried;

-- name: drop_buried_incoming
DELETE FROM incoming i WHERE EXISTS (FROM buried b WHERE b.journal = i.journal AND b.sequence = i.sequence);

-- name: add_tombstone
INSERT INTO tombstones SELECT $account, $write_key, false
WHERE NOT EXISTS (FROM tombstones WHERE account = $account AND write_key = $write_key);

-- name: bury
CREATE OR REPLACE TEMP TABLE buried AS
SELECT journal, sequence FROM events WHERE account IN (SELECT account FROM tombstones)
UNION ALL
SELECT journal, sequence FROM unverified WHERE account IN (SELECT account FROM tombstones)
    OR (account = '' AND write_key IN (SELECT write_key FROM tombstones));

-- name: delete_buried
DELETE FROM events WHERE account IN (SELECT account FROM tombstones);
DELETE FROM unverified WHERE account IN (SELECT account FROM tombstones)
    OR (account = '' AND write_key IN (SELECT write_key FROM tombstones));
DELETE FROM unannounced u WHERE EXISTS (FROM buried b WHERE b.journal = u.journal AND b.sequence = u.sequence);

-- name: bytes_owed
SELECT count(*) FROM tombstones WHERE NOT bytes_gone;

-- name: written_off
CREATE OR REPLACE TEMP TABLE buried AS
SELECT split_part(id, '-', 1) AS journal, split_part(id, '-', 2)::UBIGINT AS sequence
FROM (SELECT DISTINCT unnest($ids::VARCHAR[]) AS id) i
WHERE NOT EXISTS (FROM gone k WHERE k.journal = split_part(id, '-', 1) AND k.sequence = split_part(id, '-', 2)::UBIGINT);

-- name: remains
SELECT (SELECT count(*) FROM events WHERE account = $account),
    (SELECT count(*) FROM unverified
        WHERE account = $account OR (account = '' AND list_contains($keys::VARCHAR[], write_key)));

-- name: incoming
SELECT count(*), count(client_hash), epoch_us(min(received_at)), epoch_us(max(received_at)) FROM incoming;

-- name: keep_unverified
INSERT INTO unverified FROM incoming WHERE NOT verified;

-- name: drop_unverified
DELETE FROM incoming WHERE NOT verified;

-- name: no_repeats
CREATE OR REPLACE TEMP TABLE repeats (journal VARCHAR, sequence UBIGINT);

-- name: repeats_within
INSERT INTO repeats
SELECT journal, sequence FROM (
    SELECT journal, sequence, received_at, row_number() OVER same AS place, first_value(received_at) OVER same AS first
    FROM incoming WHERE client_hash IS NOT NULL
    WINDOW same AS (PARTITION BY account, write_key, client_id ORDER BY received_at, journal, sequence))
WHERE place > 1 AND received_at - first <= to_microseconds($window_us);

-- name: repeats_before_candidates
CREATE OR REPLACE TEMP TABLE candidates AS
SELECT e.rowid AS place FROM events e SEMI JOIN incoming i ON e.client_hash = i.client_hash
WHERE e.received_at BETWEEN make_timestamp($low_us::BIGINT) AND make_timestamp($high_us::BIGINT);

-- name: repeats_before
INSERT INTO repeats
SELECT i.journal, i.sequence FROM incoming i SEMI JOIN (
    SELECT account, write_key, client_id, received_at FROM events WHERE rowid IN (SELECT place FROM candidates)) e
ON i.account = e.account AND i.write_key = e.write_key AND i.client_id = e.client_id
    AND abs(epoch_us(i.received_at) - epoch_us(e.received_at)) <= $window_us;

-- name: count_repeats
SELECT journal, count(*) FROM (SELECT DISTINCT journal, sequence FROM repeats) GROUP BY journal;

-- name: keep_repeats_ids
INSERT INTO gone SELECT DISTINCT journal, sequence FROM repeats;

-- name: repeats_by_verdict
SELECT i.verdict, count(*) FROM incoming i SEMI JOIN repeats r ON i.journal = r.journal AND i.sequence = r.sequence
GROUP BY i.verdict;

-- name: keep_incoming
INSERT INTO events FROM incoming;

-- name: keep_incoming_but_repeats
INSERT INTO events SELECT i.* FROM incoming i ANTI JOIN repeats r ON i.journal = r.journal AND i.sequence = r.sequence;

-- name: unsettled
SELECT write_key, epoch_us(min(received_at)) AS first_us, epoch_us(max(received_at)), count(*)
FROM unverified WHERE received_at < make_timestamp($before_us::BIGINT)
GROUP BY write_key ORDER BY first_us, write_key LIMIT $keys_max;

-- name: rulings
CREATE OR REPLACE TEMP TABLE rulings (
    write_key VARCHAR, since TIMESTAMP, account VARCHAR, verdict UTINYINT, version UBIGINT);

-- name: add_rulings
INSERT INTO rulings SELECT write_key, make_timestamp(since_us), account, verdict, version FROM read_json($file,
    format = 'newline_delimited', columns = {
    write_key: 'VARCHAR', since_us: 'BIGINT', account: 'VARCHAR', verdict: 'UTINYINT', version: 'UBIGINT'});

-- name: settling
CREATE OR REPLACE TEMP TABLE settling AS
SELECT u.*, r.account AS ruled_account, r.verdict AS ruled_verdict, r.version AS ruled_version
FROM (
    SELECT rowid AS place, * FROM unverified
    WHERE received_at < make_timestamp($before_us::BIGINT) AND write_key IN (SELECT write_key FROM rulings)
    LIMIT $events_max) u
ASOF JOIN rulings r ON u.write_key = r.write_key AND u.received_at >= r.since;

-- name: settle_incoming
CREATE OR REPLACE TEMP TABLE incoming AS
SELECT
    journal, sequence, received_at, ruled_account AS account, write_key, ruled_verdict AS verdict, true AS verified,
    ruled_version AS version, name, url, referrer, visitor, "user", client_time, client_id, tracker, ip, user_agent,
    language, params,
    CASE WHEN client_id IS NOT NULL
         THEN md5_number_lower(concat_ws(chr(0), ruled_account, write_key, client_id)) END AS client_hash
FROM settling WHERE ruled_verdict <> $drop;

-- name: settled_by_verdict
SELECT ruled_verdict, count(*) FROM settling GROUP BY ruled_verdict;

-- name: count_gone
SELECT journal, count(*) FROM settling WHERE ruled_verdict = $drop GROUP BY journal;

-- name: keep_gone_ids
INSERT INTO gone SELECT journal, sequence FROM settling WHERE ruled_verdict = $drop;

-- name: keep_unannounced
INSERT INTO unannounced SELECT journal, sequence, received_at FROM incoming i WHERE verdict = $accept
    AND NOT EXISTS (FROM repeats r WHERE r.journal = i.journal AND r.sequence = i.sequence);

-- name: unannounced
SELECT
    journal || '-' || sequence::VARCHAR, epoch_us(received_at), account, write_key, verdict, verified, version, name,
    url, referrer, visitor, "user", epoch_us(client_time), client_id, tracker, ip, user_agent, language,
    params::VARCHAR
FROM events e
WHERE received_at BETWEEN (SELECT min(received_at) FROM unannounced) AND (SELECT max(received_at) FROM unannounced)
    AND EXISTS (FROM unannounced u WHERE u.journal = e.journal AND u.sequence = e.sequence)
ORDER BY received_at, journal, sequence LIMIT $limit;

-- name: forget_unannounced
DELETE FROM unannounced WHERE list_contains($ids::VARCHAR[], journal || '-' || sequence::VARCHAR);

-- name: delete_settled
DELETE FROM unverified WHERE rowid IN (SELECT place FROM settling);

-- name: count_unverified_until
SELECT count(*) FROM unverified WHERE received_at <= make_timestamp($until_us::BIGINT);

-- name: journal_events
SELECT journal, count(*) FROM events GROUP BY journal;

-- name: journal_unverified
SELECT journal, count(*) FROM unverified GROUP BY journal;

-- name: tallies
SELECT journal, reason, sum(events)::BIGINT FROM tally GROUP BY journal, reason;

-- name: all_missing
SELECT journal, first, last FROM missing ORDER BY journal, first;

-- name: seen
-- Every read for a person starts here: one account, one period, `visible` decided by the view (I11).
CREATE OR REPLACE TEMP MACRO seen(of_account, from_us, to_us, revealed) AS TABLE
SELECT *, (verdict = 1 OR (verdict = 2 AND version < revealed)) AS visible FROM events
WHERE account = of_account AND verified
    AND received_at >= make_timestamp(from_us::BIGINT) AND received_at < make_timestamp(to_us::BIGINT);

-- name: count_events
SELECT count(*) FILTER (visible), count(*) FILTER (NOT visible), count(DISTINCT visitor) FILTER (visible)
FROM seen($account, $from_us, $to_us, $revealed);

-- name: count_unverified
SELECT count(*) FROM unverified
WHERE (account = $account OR (account = '' AND list_contains($keys::VARCHAR[], write_key)))
    AND received_at >= make_timestamp($from_us::BIGINT) AND received_at < make_timestamp($to_us::BIGINT);

-- name: active
SELECT account, epoch_us(max(received_at)) FROM events
WHERE received_at >= make_timestamp($since_us::BIGINT) AND account > $after
GROUP BY account ORDER BY account LIMIT $limit;

-- name: by_name
SELECT name, count(*) AS n FROM seen($account, $from_us, $to_us, $revealed) WHERE visible
GROUP BY 1 ORDER BY n DESC, 1 NULLS LAST LIMIT $groups_max;

-- name: by_day
SELECT strftime(received_at, '%Y-%m-%d') AS day, count(*) FROM seen($account, $from_us, $to_us, $revealed) WHERE visible
GROUP BY 1 ORDER BY 1;

-- name: by_page
SELECT split_part(split_part(url, '#', 1), '?', 1) AS page, count(*) AS n
FROM seen($account, $from_us, $to_us, $revealed) WHERE visible GROUP BY 1 ORDER BY n DESC, 1 NULLS LAST LIMIT $groups_max;

-- name: by_referrer
SELECT split_part(split_part(referrer, '#', 1), '?', 1) AS page, count(*) AS n
FROM seen($account, $from_us, $to_us, $revealed) WHERE visible GROUP BY 1 ORDER BY n DESC, 1 NULLS LAST LIMIT $groups_max;

-- name: mtu
SELECT count(DISTINCT visitor) FROM seen($account, $from_us, $to_us, $revealed) WHERE visible OR $hidden_too;

-- name: scan
SELECT
    journal || '-' || sequence::VARCHAR, epoch_us(received_at), account, write_key, verdict, verified, version, name,
    url, referrer, visitor, "user", epoch_us(client_time), client_id, tracker, ip, user_agent, language,
    params::VARCHAR
FROM seen($account, $from_us, $to_us, $revealed) WHERE visible OR $hidden_too ORDER BY received_at, journal, sequence;

-- name: parquet
COPY (
    SELECT journal || '-' || sequence::VARCHAR AS id, received_at, account, write_key,
        CASE verdict WHEN 1 THEN 'ACCEPT' WHEN 2 THEN 'HIDE' END AS verdict, verified, version, name, url, referrer,
        visitor, "user", client_time, client_id, tracker, ip, user_agent, language, params::VARCHAR AS params
    FROM seen($account, $from_us, $to_us, $revealed) WHERE visible OR $hidden_too
    ORDER BY received_at, journal, sequence
) TO $file (FORMAT parquet, COMPRESSION zstd);
