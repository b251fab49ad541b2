-- A study of schema 2, as the first bomf with workers wrote it. It stays as it is.
PRAGMA user_version = 2;
PRAGMA application_id = 1651469670;
CREATE TABLE fact (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE trial (
    number INTEGER PRIMARY KEY,
    parameters TEXT NOT NULL,
    state TEXT NOT NULL,
    scores TEXT NOT NULL,
    value REAL,
    step INTEGER NOT NULL,
    seconds REAL NOT NULL
) STRICT;
CREATE TABLE trial_value (
    trial INTEGER NOT NULL REFERENCES trial (number),
    position INTEGER NOT NULL,
    step INTEGER NOT NULL,
    train_loss REAL,
    scores TEXT NOT NULL,
    PRIMARY KEY (trial, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE finetune (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    seconds REAL NOT NULL
) STRICT;
CREATE TABLE evaluation (
    id INTEGER PRIMARY KEY,
    split TEXT NOT NULL,
    weights BLOB NOT NULL,
    method TEXT NOT NULL,
    state TEXT NOT NULL,
    scores TEXT NOT NULL,
    std_errors TEXT NOT NULL,
    outputs BLOB NOT NULL,
    seconds REAL NOT NULL,
    UNIQUE (split, weights)
) STRICT;
CREATE TRIGGER fact_is_final BEFORE UPDATE ON fact
    BEGIN SELECT RAISE(ABORT, 'a fact never changes'); END;
CREATE TRIGGER trial_is_final BEFORE UPDATE ON trial
    BEGIN SELECT RAISE(ABORT, 'a finished trial never changes'); END;
CREATE TRIGGER finetune_is_final BEFORE UPDATE ON finetune
    BEGIN SELECT RAISE(ABORT, 'a finished run never changes'); END;
CREATE TRIGGER evaluation_is_final BEFORE UPDATE ON evaluation
    BEGIN SELECT RAISE(ABORT, 'a finished evaluation never changes'); END;
CREATE TABLE job (
    number INTEGER PRIMARY KEY,
    payload TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    losses INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    expires REAL,
    result TEXT
) STRICT;
CREATE INDEX job_to_do ON job (number) WHERE result IS NULL;
CREATE TRIGGER job_is_final BEFORE UPDATE ON job WHEN OLD.result IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'a result never changes'); END;
CREATE TABLE queue (is_closed INTEGER NOT NULL) STRICT;
INSERT INTO queue VALUES (0);

INSERT INTO fact (name, value) VALUES ('seed', '7');
INSERT INTO trial VALUES (0, '{"learning_rate":0.30000000000000004,"batch_size":17,"schedule":"linear"}', 'complete', '{"loss":0.30000000000000004,"accuracy":0.3333333333333333}', 0.30000000000000004, 12, 1.5);
INSERT INTO trial_value VALUES (0, 0, 6, 0.7, '{"loss":0.6,"accuracy":0.3333333333333333}');
INSERT INTO trial_value VALUES (0, 1, 12, 0.7999999999999999, '{"loss":0.5,"accuracy":0.3333333333333333}');
INSERT INTO trial VALUES (1, '{"learning_rate":0.30000000000000004,"batch_size":17,"schedule":"linear"}', 'failed', '{}', NULL, 0, 1.5);
INSERT INTO finetune VALUES (1, '{"best_step":7,"steps":14,"steps_per_epoch":7,"curve":[{"step":6,"train_loss":0.7,"select":{"loss":0.6,"accuracy":0.3333333333333333}},{"step":12,"train_loss":0.7999999999999999,"select":{"loss":0.5,"accuracy":0.3333333333333333}}],"members":[{"step":7,"path":"members/checkpoint-7","select":{}}]}', 3.25);
INSERT INTO evaluation (split, weights, method, state, scores, std_errors, outputs, seconds) VALUES (
    'select', x'000000000000d03f000000000000e83f', 'bomf', 'complete',
    '{"loss":0.25,"accuracy":0.3333333333333333}', '{"accuracy":0.01}',
    x'cdcccc3d0000008000008000ffff7f7f01000000', 0.5);
INSERT INTO job VALUES (0, '{"parameters":{"learning_rate":0.30000000000000004},"seed":7}', 1, 0, 'worker-1.4711.1', 1.0, '{"number":0}');
INSERT INTO job VALUES (1, '{"parameters":{"learning_rate":0.001},"seed":8}', 2, 1, 'worker-2.4711.2', 1.0, NULL);
