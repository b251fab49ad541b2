-- A database of schema 1, as the first bomf with PostgreSQL wrote it, with one study. It stays
-- as it is.
CREATE SCHEMA bomf;
CREATE TABLE bomf.schema_version (version BIGINT NOT NULL);
INSERT INTO bomf.schema_version VALUES (1);
CREATE TABLE bomf.study (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    is_closed BOOLEAN NOT NULL DEFAULT false
);
CREATE TABLE bomf.fact (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study BIGINT NOT NULL REFERENCES bomf.study ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (study, name)
);
CREATE TABLE bomf.trial (
    study BIGINT NOT NULL REFERENCES bomf.study ON DELETE CASCADE,
    number BIGINT NOT NULL,
    parameters TEXT NOT NULL,
    state TEXT NOT NULL,
    scores TEXT NOT NULL,
    value DOUBLE PRECISION,
    step BIGINT NOT NULL,
    curve TEXT NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (study, number)
);
CREATE TABLE bomf.finetune (
    study BIGINT NOT NULL REFERENCES bomf.study ON DELETE CASCADE,
    number BIGINT NOT NULL,
    run TEXT NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (study, number)
);
CREATE TABLE bomf.evaluation (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study BIGINT NOT NULL REFERENCES bomf.study ON DELETE CASCADE,
    split TEXT NOT NULL,
    weights BYTEA NOT NULL,
    method TEXT NOT NULL,
    state TEXT NOT NULL,
    scores TEXT NOT NULL,
    std_errors TEXT NOT NULL,
    outputs BYTEA NOT NULL,
    seconds DOUBLE PRECISION NOT NULL
);
CREATE UNIQUE INDEX evaluation_key ON bomf.evaluation (study, split, sha256(weights));
CREATE TABLE bomf.job (
    study BIGINT NOT NULL REFERENCES bomf.study ON DELETE CASCADE,
    number BIGINT NOT NULL,
    payload TEXT NOT NULL,
    attempt BIGINT NOT NULL DEFAULT 0,
    losses BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    expires TIMESTAMPTZ,
    result TEXT,
    PRIMARY KEY (study, number)
);
CREATE INDEX job_to_do ON bomf.job (study, number) WHERE result IS NULL;
CREATE FUNCTION bomf.is_final() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'what is stored never changes' USING ERRCODE = 'unique_violation';
    END $$;
CREATE TRIGGER fact_is_final BEFORE UPDATE ON bomf.fact
    FOR EACH ROW EXECUTE FUNCTION bomf.is_final();
CREATE TRIGGER trial_is_final BEFORE UPDATE ON bomf.trial
    FOR EACH ROW EXECUTE FUNCTION bomf.is_final();
CREATE TRIGGER finetune_is_final BEFORE UPDATE ON bomf.finetune
    FOR EACH ROW EXECUTE FUNCTION bomf.is_final();
CREATE TRIGGER evaluation_is_final BEFORE UPDATE ON bomf.evaluation
    FOR EACH ROW EXECUTE FUNCTION bomf.is_final();
CREATE TRIGGER job_is_final BEFORE UPDATE ON bomf.job
    FOR EACH ROW WHEN (OLD.result IS NOT NULL AND NEW IS DISTINCT FROM OLD)
    EXECUTE FUNCTION bomf.is_final();

INSERT INTO bomf.study (name) VALUES ('old');
INSERT INTO bomf.fact (study, name, value) VALUES (1, 'seed', '7');
INSERT INTO bomf.trial VALUES (1, 0, '{"learning_rate":0.30000000000000004}', 'complete', '{"loss":0.5}', -0.5, 12, '[{"step":12,"train_loss":0.7,"select":{"loss":0.5}}]', 1.5);
INSERT INTO bomf.trial VALUES (1, 1, '{"learning_rate":0.1}', 'failed', '{}', NULL, 0, '[]', 1.5);
INSERT INTO bomf.job VALUES (1, 0, '{"seed":7}', 1, 0, 'worker-1', NULL, '{"number":0}');
INSERT INTO bomf.job VALUES (1, 1, '{"seed":8}');
