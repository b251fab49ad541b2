//! The tables of all studies in a PostgreSQL database, in a schema of their own, and how older
//! ones become newer ones.

use postgres::{Client, Error};

/// Statement `i` makes schema `i + 1` of schema `i`; what has been released stays as it is.
/// `bomf.schema_version` says how many of them a database has seen.
const MIGRATIONS: &[&str] = &[V1, V2];

/// The newest schema that is known.
pub(super) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// One program at a time migrates: "bomf" in ASCII, twice, as the number of an advisory lock.
const LOCK: i64 = 0x626f_6d66_626f_6d66;

/// The database itself holds the contract that a record is final, whoever opens it. Weights
/// are found by their digest: an index takes no longer ones.
const V1: &str = "
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
";

/// What trials are worth at the rungs of their training, in the order in which they came there;
/// and who had which trial from when to when. The latter the database notes by itself, whoever
/// changes a job.
const V2: &str = "
CREATE TABLE bomf.rung (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study BIGINT NOT NULL REFERENCES bomf.study ON DELETE CASCADE,
    rung BIGINT NOT NULL,
    trial BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    UNIQUE (study, rung, trial)
);
CREATE TRIGGER rung_is_final BEFORE UPDATE ON bomf.rung
    FOR EACH ROW EXECUTE FUNCTION bomf.is_final();
CREATE TABLE bomf.attempt (
    study BIGINT NOT NULL REFERENCES bomf.study ON DELETE CASCADE,
    number BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    worker TEXT NOT NULL,
    began TIMESTAMPTZ NOT NULL,
    ended TIMESTAMPTZ,
    outcome TEXT,
    PRIMARY KEY (study, number, attempt)
);
CREATE FUNCTION bomf.note_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.attempt <> OLD.attempt THEN
            UPDATE bomf.attempt SET outcome = 'lost',
                ended = least(OLD.expires, clock_timestamp())
                WHERE study = OLD.study AND number = OLD.number AND attempt = OLD.attempt
                AND ended IS NULL;
            INSERT INTO bomf.attempt (study, number, attempt, worker, began)
                VALUES (NEW.study, NEW.number, NEW.attempt, NEW.worker, clock_timestamp())
                ON CONFLICT DO NOTHING;
        END IF;
        IF NEW.worker IS NULL OR NEW.result IS NOT NULL THEN
            UPDATE bomf.attempt SET ended = clock_timestamp(), outcome =
                CASE WHEN NEW.result IS NOT NULL THEN 'finished'
                WHEN NEW.losses > OLD.losses THEN 'lost' ELSE 'given_back' END
                WHERE study = NEW.study AND number = NEW.number AND attempt = NEW.attempt
                AND ended IS NULL;
        END IF;
        RETURN NULL;
    END $$;
CREATE TRIGGER job_has_changed AFTER UPDATE ON bomf.job FOR EACH ROW
    WHEN (NEW.attempt <> OLD.attempt OR NEW.worker IS NULL OR NEW.result IS NOT NULL)
    EXECUTE FUNCTION bomf.note_attempt();
";

/// How a database stands.
pub(super) enum Found {
    /// It has the newest schema.
    Ready,
    /// A later one.
    Later(i64),
    /// A schema `bomf` that is not ours.
    Foreign,
}

/// Brings a database to the newest schema; one that is there already is only read.
pub(super) fn migrate(client: &mut Client) -> Result<Found, Error> {
    if let Some(NEWEST) = version(client)? {
        return Ok(Found::Ready);
    }
    let mut transaction = client.transaction()?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
    let done = match version(&mut transaction)? {
        Some(version) if version > NEWEST => return Ok(Found::Later(version)),
        Some(version) => version,
        None => {
            let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'bomf'";
            if transaction.query_one(tables, &[])?.get::<_, i64>(0) > 0 {
                return Ok(Found::Foreign);
            }
            transaction.batch_execute(
                "CREATE SCHEMA IF NOT EXISTS bomf; \
                 CREATE TABLE bomf.schema_version (version BIGINT NOT NULL); \
                 INSERT INTO bomf.schema_version VALUES (0)",
            )?;
            0
        }
    };
    for migration in MIGRATIONS.iter().skip(usize::try_from(done).unwrap_or(0)) {
        transaction.batch_execute(migration)?;
    }
    transaction.execute("UPDATE bomf.schema_version SET version = $1", &[&NEWEST])?;
    transaction.commit()?;
    Ok(Found::Ready)
}

/// The schema of a database; `None` where it has none of ours.
fn version(client: &mut impl postgres::GenericClient) -> Result<Option<i64>, Error> {
    // Not `to_regclass`, which may answer from before another program's commit.
    let there = "SELECT EXISTS (SELECT FROM pg_tables \
                 WHERE schemaname = 'bomf' AND tablename = 'schema_version')";
    if !client.query_one(there, &[])?.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_opt("SELECT version FROM bomf.schema_version", &[])?;
    Ok(row.map(|row| row.get(0)))
}
