//! Studies in a PostgreSQL database, for several machines. A database holds many, each under a
//! name.
//!
//! A server may go away for a while: whatever was asked of it is asked again, for as long as
//! the patience lasts. So a change whose answer was lost may be made twice; the second time it
//! finds its own record, which counts as stored.

mod address;
mod schema;
mod storage;
mod tls;

pub use address::{is_url, password_in, study_in, without_password};

use crate::StudyError;
use address::Address;
use postgres::error::SqlState;
use postgres::types::ToSql;
use postgres::{Client, Error, Row, Statement};
use schema::Found;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a server may be away.
const PATIENCE: Duration = Duration::from_secs(300);

/// Between two attempts to reach it again: at first, and in the end.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(5);

/// How long the server may hold on to the lock of a connection that has broken off, before it
/// counts as another program's.
const LINGERING: Duration = Duration::from_secs(10);

/// The class of advisory locks by which one program leads a study: "bomf" in ASCII.
const LEADING: i32 = 0x626f_6d66;

/// A study on a server.
#[derive(Debug)]
pub struct Postgres {
    address: Address,
    id: i64,
    link: Mutex<Option<Link>>,
    patience: Mutex<Duration>,
    /// Whether this is the one that leads the study.
    leads: AtomicBool,
}

/// A connection, with the statements that were made ready on it.
pub(crate) struct Link {
    client: Client,
    statements: HashMap<&'static str, Statement>,
    leads: bool,
    /// Whether what is asked for may have been done already: an earlier connection broke off.
    pub is_again: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Link {
    fn open(address: &Address) -> Result<Self, Error> {
        Ok(Link {
            client: address.connect()?,
            statements: HashMap::new(),
            leads: false,
            is_again: false,
        })
    }

    fn ready(&mut self, sql: &'static str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// The rows of a query.
    pub fn query(&mut self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let statement = self.ready(sql)?;
        self.client.query(&statement, params)
    }

    /// The row of a query that has one at most.
    pub fn row(&mut self, sql: &'static str, params: Params<'_>) -> Result<Option<Row>, Error> {
        let statement = self.ready(sql)?;
        self.client.query_opt(&statement, params)
    }

    /// How many rows a statement changed.
    pub fn execute(&mut self, sql: &'static str, params: Params<'_>) -> Result<u64, Error> {
        let statement = self.ready(sql)?;
        self.client.execute(&statement, params)
    }
}

/// Whether a server is away, or goes or comes just now, and may be asked again.
fn is_away(error: &Error) -> bool {
    const PASSING: [SqlState; 6] = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    if let Some(code) = error.code() {
        return PASSING.contains(code);
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return !tls::is_refused(error);
        }
        cause = error.source();
    }
    error.is_closed() || error.to_string().contains("timeout")
}

impl Postgres {
    /// Begins a study on a server, under the name that the URL gives it.
    ///
    /// # Errors
    /// [`StudyError::StudyExists`], [`StudyError::Url`], [`StudyError::TooNew`],
    /// [`StudyError::NotAStudy`], and [`StudyError::Server`] for a server
    /// that cannot be reached or says no.
    pub fn create(url: &str) -> Result<Self, StudyError> {
        let mut study = Self::reach(url)?;
        let name = study.address.study.clone();
        let begun = study.with(|link| {
            let sql = "INSERT INTO bomf.study (name) VALUES ($1) ON CONFLICT DO NOTHING \
                       RETURNING id";
            let begun = link.row(sql, &[&name])?;
            if begun.is_some() || !link.is_again {
                return Ok(begun);
            }
            // The answer to an earlier attempt was lost. One in which nothing was entered is ours,
            // or nobody loses anything by it: one program alone can lead it.
            let sql = "SELECT id FROM bomf.study WHERE name = $1 AND NOT EXISTS \
                       (SELECT FROM bomf.fact WHERE fact.study = study.id)";
            link.row(sql, &[&name])
        })?;
        let Some(row) = begun else {
            return Err(StudyError::StudyExists {
                url: study.address.shown,
            });
        };
        study.id = row.get(0);
        Ok(study)
    }

    /// Opens a study that is there.
    ///
    /// # Errors
    /// [`StudyError::NoStudy`] where it is not, and as [`Postgres::create`].
    pub fn open(url: &str) -> Result<Self, StudyError> {
        let mut study = Self::reach(url)?;
        let name = study.address.study.clone();
        let sql = "SELECT id FROM bomf.study WHERE name = $1";
        let Some(row) = study.with(|link| link.row(sql, &[&name]))? else {
            return Err(StudyError::NoStudy {
                path: study.address.shown.into(),
            });
        };
        study.id = row.get(0);
        Ok(study)
    }

    /// Takes away a study with all that it holds, where there is one that nobody leads.
    ///
    /// # Errors
    /// [`StudyError::InUse`], and as [`Postgres::create`].
    pub fn remove(url: &str) -> Result<(), StudyError> {
        let study = match Self::open(url) {
            Err(StudyError::NoStudy { .. }) => return Ok(()),
            opened => opened?,
        };
        study.lead()?;
        study.with(|link| link.execute("DELETE FROM bomf.study WHERE id = $1", &[&study.id]))?;
        Ok(())
    }

    fn reach(url: &str) -> Result<Self, StudyError> {
        let address = Address::parse(url)?;
        let server = |source| StudyError::Server {
            url: address.shown.clone(),
            source,
        };
        let mut link = Link::open(&address).map_err(server)?;
        match schema::migrate(&mut link.client).map_err(server)? {
            Found::Ready => {}
            Found::Foreign => {
                return Err(StudyError::NotAStudy {
                    path: address.shown.into(),
                });
            }
            Found::Later(found) => {
                return Err(StudyError::TooNew {
                    path: address.shown.into(),
                    found,
                    known: schema::NEWEST,
                });
            }
        }
        Ok(Postgres {
            address,
            id: 0,
            link: Mutex::new(Some(link)),
            patience: Mutex::new(PATIENCE),
            leads: AtomicBool::new(false),
        })
    }

    /// Leads the study from now on, for as long as this lives: no other program can meanwhile.
    ///
    /// # Errors
    /// [`StudyError::InUse`] where another one does.
    pub fn lead(&self) -> Result<(), StudyError> {
        let is_free = self.with(|link| link.lead(self.id))?;
        if !is_free {
            return Err(self.in_use());
        }
        self.leads.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn in_use(&self) -> StudyError {
        StudyError::InUse {
            path: self.address.shown.clone().into(),
            owner: None,
        }
    }

    /// How long the server may be away before that is an error; 5 minutes at first.
    pub fn set_patience(&self, patience: Duration) {
        *self.patience.lock().unwrap_or_else(PoisonError::into_inner) = patience;
    }

    /// The URL without its password.
    pub fn url(&self) -> &str {
        &self.address.shown
    }

    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    fn lock(&self) -> MutexGuard<'_, Option<Link>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the server, again and again while it is away.
    pub(crate) fn with<T>(
        &self,
        mut work: impl FnMut(&mut Link) -> Result<T, Error>,
    ) -> Result<T, StudyError> {
        let mut held = self.lock();
        let patience = *self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        let mut wait = FIRST_WAIT;
        let mut is_again = false;
        loop {
            let done = match held.as_mut() {
                Some(link) => {
                    link.is_again = is_again;
                    work(link)
                }
                None => match Link::open(&self.address) {
                    Ok(link) => {
                        *held = Some(link);
                        self.lead_again(&mut held)?;
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            let error = match done {
                Ok(done) => return Ok(done),
                Err(error) if is_away(&error) => error,
                Err(error) => return Err(self.failed(error)),
            };
            if error.code().is_none() || held.as_ref().is_none_or(|link| link.client.is_closed()) {
                *held = None;
            }
            if began.elapsed() >= patience {
                return Err(StudyError::Away {
                    url: self.address.shown.clone(),
                    seconds: patience.as_secs(),
                    source: error,
                });
            }
            if !is_again {
                tracing::warn!(
                    "{} is away ({error}); trying again for {} s",
                    self.address.shown,
                    patience.as_secs()
                );
            }
            is_again = true;
            std::thread::sleep(wait.min(patience.saturating_sub(began.elapsed())));
            wait = (2 * wait).min(LAST_WAIT);
        }
    }

    /// On a new connection, takes the lead again.
    fn lead_again(&self, held: &mut Option<Link>) -> Result<(), StudyError> {
        if !self.leads.load(Ordering::SeqCst) {
            return Ok(());
        }
        let began = Instant::now();
        while let Some(link) = held.as_mut().filter(|link| !link.leads) {
            match link.lead(self.id) {
                Ok(true) => return Ok(()),
                // The server has not seen yet that the old connection is gone.
                Ok(false) if began.elapsed() < LINGERING => std::thread::sleep(FIRST_WAIT),
                Ok(false) => return Err(self.in_use()),
                Err(_) => *held = None,
            }
        }
        Ok(())
    }

    fn failed(&self, source: Error) -> StudyError {
        match source.code() {
            Some(&SqlState::DISK_FULL) => StudyError::DatabaseFull {
                path: self.address.shown.clone().into(),
            },
            _ => StudyError::Server {
                url: self.address.shown.clone(),
                source,
            },
        }
    }
}

impl Link {
    /// Whether this connection leads the study now. PostgreSQL takes the lock from it when it
    /// ends, however that happens.
    fn lead(&mut self, study: i64) -> Result<bool, Error> {
        if self.leads {
            return Ok(true);
        }
        // There are no more studies than numbers.
        let key = i32::try_from(study).unwrap_or(i32::MAX);
        let row = self.row("SELECT pg_try_advisory_lock($1, $2)", &[&LEADING, &key])?;
        self.leads = row.is_some_and(|row| row.get(0));
        Ok(self.leads)
    }
}
