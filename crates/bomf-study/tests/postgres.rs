//! What is PostgreSQL's alone: studies by name, one leader each, and a server that goes away.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

mod server;

use bomf_study::{Postgres, Queue, State, Storage, StudyError};
use indexmap::IndexMap;
use server::Server;
use std::time::{Duration, Instant};

fn facts(value: &str) -> IndexMap<String, String> {
    IndexMap::from_iter([("seed".to_string(), value.to_string())])
}

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

#[test]
fn studies_of_one_database_know_nothing_of_each_other() {
    let Some(server) = Server::start() else {
        return;
    };
    let (a, b) = (server.study(), server.study());
    let error = Postgres::open(&a).unwrap_err();
    assert!(matches!(error, StudyError::NoStudy { .. }), "{error}");
    let (first, second) = (Postgres::create(&a).unwrap(), Postgres::create(&b).unwrap());
    let error = Postgres::create(&a).unwrap_err();
    assert!(matches!(error, StudyError::StudyExists { .. }), "{error}");
    assert!(error.is_bad_input() && error.hint().is_some());
    first.add_facts(&facts("1")).unwrap();
    second.add_facts(&facts("2")).unwrap();
    first.enqueue(&[(0, "first".into())]).unwrap();
    assert_eq!(second.claim("w", LONG).unwrap(), None);
    first.set_closed(true).unwrap();
    assert!(!second.is_closed().unwrap());
    Postgres::remove(&a).unwrap();
    Postgres::remove(&a).unwrap();
    assert!(first.is_closed().unwrap(), "workers of it may go");
    assert_eq!(second.facts().unwrap(), facts("2"));
    Postgres::remove(&b).unwrap();
}

#[test]
fn one_program_leads_a_study_until_it_goes() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.study();
    let first = Postgres::create(&url).unwrap();
    let second = Postgres::open(&url).unwrap();
    first.lead().unwrap();
    first.lead().unwrap();
    for error in [
        second.lead().unwrap_err(),
        Postgres::remove(&url).unwrap_err(),
    ] {
        assert!(matches!(error, StudyError::InUse { .. }), "{error}");
    }
    // Another study is another's.
    let other = server.study();
    Postgres::create(&other).unwrap().lead().unwrap();
    drop(first);
    let began = Instant::now();
    while second.lead().is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "it has gone");
    }
    drop(second);
    while Postgres::remove(&url).is_err() {
        assert!(began.elapsed() < Duration::from_secs(40), "it has gone");
    }
    Postgres::remove(&other).unwrap();
}

#[test]
fn the_database_itself_refuses_changes_from_other_programs() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.study();
    let study = Postgres::create(&url).unwrap();
    study.add_facts(&facts("1")).unwrap();
    study.enqueue(&[(0, "x".into())]).unwrap();
    let claim = study.claim("w", LONG).unwrap().unwrap();
    study.finish(&claim, "y").unwrap();
    let mut other = postgres::Client::connect(server.url(), postgres::NoTls).unwrap();
    for sql in [
        "UPDATE bomf.fact SET value = '2'",
        "UPDATE bomf.job SET result = 'z'",
    ] {
        let error = other.batch_execute(sql).unwrap_err();
        let error = error.as_db_error().unwrap().message().to_string();
        assert!(error.contains("never changes"), "{error}");
    }
    assert_eq!(study.results(0).unwrap(), [(0, "y".into())]);
    Postgres::remove(&url).unwrap();
}

#[test]
fn a_server_that_is_away_for_a_while_is_waited_for_and_nothing_is_lost() {
    let Some(mut server) = Server::start() else {
        return;
    };
    if !server.is_own() {
        return;
    }
    let url = server.study();
    let study = Postgres::create(&url).unwrap();
    study.lead().unwrap();
    study.add_facts(&facts("1")).unwrap();
    study.enqueue(&[(0, "a".into()), (1, "b".into())]).unwrap();
    let claim = study.claim("w", LONG).unwrap().unwrap();
    server.stop();
    std::thread::scope(|scope| {
        let finished = scope.spawn(|| study.finish(&claim, "done"));
        std::thread::sleep(Duration::from_millis(500));
        assert!(!finished.is_finished(), "it waits");
        server.start_again();
        finished.join().unwrap().unwrap();
    });
    assert_eq!(study.results(0).unwrap(), [(0, "done".into())]);
    assert_eq!(study.facts().unwrap(), facts("1"));
    // The lead was taken again with the new connection.
    let other = Postgres::open(&url).unwrap();
    let error = other.lead().unwrap_err();
    assert!(matches!(error, StudyError::InUse { .. }), "{error}");

    study.set_patience(Duration::from_millis(300));
    server.stop();
    let error = study.facts().unwrap_err();
    assert!(matches!(error, StudyError::Away { .. }), "{error}");
    assert!(error.hint().unwrap().contains("nothing is lost"));
    assert!(!error.is_bad_input());
    server.start_again();
    assert_eq!(study.facts().unwrap(), facts("1"));
}

#[test]
fn later_schemas_and_foreign_ones_are_refused_and_left_alone() {
    let Some(server) = Server::start() else {
        return;
    };
    if !server.is_own() {
        return;
    }
    let mut raw = postgres::Client::connect(server.url(), postgres::NoTls).unwrap();
    raw.batch_execute("CREATE SCHEMA bomf; CREATE TABLE bomf.cats (name TEXT)")
        .unwrap();
    let error = Postgres::create(&server.study()).unwrap_err();
    assert!(matches!(error, StudyError::NotAStudy { .. }), "{error}");
    raw.batch_execute("DROP TABLE bomf.cats").unwrap();
    let url = server.study();
    drop(Postgres::create(&url).unwrap());
    raw.batch_execute("UPDATE bomf.schema_version SET version = 99")
        .unwrap();
    let error = Postgres::open(&url).unwrap_err();
    assert!(
        matches!(error, StudyError::TooNew { found: 99, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("schema 99"), "{error}");
}

#[test]
fn a_database_of_the_first_schema_opens_with_all_it_holds() {
    let Some(server) = Server::start() else {
        return;
    };
    if !server.is_own() {
        return;
    }
    let mut raw = postgres::Client::connect(server.url(), postgres::NoTls).unwrap();
    raw.batch_execute(include_str!("assets/server-v1.sql"))
        .unwrap();
    let study = Postgres::open(&format!("{}?study=old", server.url())).unwrap();
    assert_eq!(study.facts().unwrap(), facts("7"));
    let trials = study.trials().unwrap();
    assert_eq!(
        (trials[0].state, trials[1].state),
        (State::Complete, State::Failed)
    );
    assert_eq!((trials[0].value, trials[0].curve.len()), (Some(-0.5), 1));
    assert_eq!(study.results(0).unwrap(), [(0, "{\"number\":0}".into())]);
    assert_eq!(study.claim("w", LONG).unwrap().unwrap().number, 1);
    assert_eq!(study.reach(0, 1, 0.5).unwrap(), [0.5]);
    let another = Postgres::create(&server.study()).unwrap();
    assert_eq!(another.reach(0, 1, 0.25).unwrap(), [0.25]);
}

#[test]
fn workers_of_many_connections_stand_in_one_order_at_a_rung() {
    let Some(server) = Server::start() else {
        return;
    };
    const WORKERS: usize = 6;
    const RUNGS: usize = 20;
    let url = server.study();
    Postgres::create(&url).unwrap();
    let studies: Vec<_> = (0..WORKERS)
        .map(|_| Postgres::open(&url).unwrap())
        .collect();
    let seen: Vec<Vec<Vec<f64>>> = std::thread::scope(|scope| {
        let climb = |(trial, study): (usize, &Postgres)| -> Vec<Vec<f64>> {
            let reach = |rung| study.reach(rung, trial, trial as f64).unwrap();
            (0..RUNGS).map(reach).collect()
        };
        let workers = studies.iter().enumerate();
        let all: Vec<_> = workers
            .map(|worker| scope.spawn(move || climb(worker)))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for rung in 0..RUNGS {
        // Who sees n has seen what all those saw who see fewer.
        let mut lengths: Vec<usize> = seen.iter().map(|own| own[rung].len()).collect();
        lengths.sort();
        assert_eq!(lengths, (1..=WORKERS).collect::<Vec<_>>());
        for (trial, own) in seen.iter().enumerate() {
            assert_eq!(studies[0].reach(rung, trial, 0.0).unwrap(), own[rung]);
        }
    }
    Postgres::remove(&url).unwrap();
}

#[test]
fn many_programs_may_begin_in_an_empty_database_at_once() {
    let Some(server) = Server::start() else {
        return;
    };
    std::thread::scope(|scope| {
        for _ in 0..6 {
            let url = server.study();
            scope.spawn(move || {
                let study = Postgres::create(&url).unwrap();
                study.add_facts(&facts("1")).unwrap();
                drop(study);
                Postgres::remove(&url).unwrap();
            });
        }
    });
}

#[test]
fn a_server_that_is_not_there_is_an_error_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let began = Instant::now();
    let url = format!("postgresql://me:secret@127.0.0.1:{port}/d");
    let error = Postgres::create(&url).unwrap_err();
    assert!(matches!(error, StudyError::Server { .. }), "{error}");
    assert!(error.hint().is_some() && !error.to_string().contains("secret"));
    assert!(began.elapsed() < Duration::from_secs(20));
}

/// The mode of a connection, what it needs of the authorities, and whether it is made.
type Case<'a> = (&'a str, &'a str, Option<&'a str>, Option<bool>);

#[test]
fn connections_are_encrypted_and_certificates_checked_as_the_url_says() {
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = rcgen::CertifiedIssuer::self_signed(parameters, authority).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_string()]).unwrap();
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    let Some(server) = Server::start_encrypted(&certificate.pem(), &key.serialize_pem()) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (own, other) = (dir.path().join("own .pem"), dir.path().join("other.pem"));
    std::fs::write(&own, authority.pem()).unwrap();
    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    std::fs::write(&other, stranger.cert.pem()).unwrap();
    let own = own.display().to_string().replace(' ', "%20");
    let other = other.display().to_string();

    let cases: [Case<'_>; 11] = [
        ("127.0.0.1", "disable", None, Some(false)),
        ("127.0.0.1", "prefer", None, Some(true)),
        ("127.0.0.1", "require", None, Some(true)),
        ("127.0.0.1", "require", Some(&own), Some(true)),
        ("127.0.0.1", "require", Some(&other), None),
        ("127.0.0.1", "verify-ca", Some(&own), Some(true)),
        ("127.0.0.1", "verify-ca", Some(&other), None),
        // The certificate is of another name.
        ("127.0.0.1", "verify-full", Some(&own), None),
        ("localhost", "verify-full", Some(&own), Some(true)),
        ("localhost", "verify-full", Some(&other), None),
        ("localhost", "verify-full", Some("system"), None),
    ];
    let mut raw = postgres::Client::connect(server.url(), postgres::NoTls).unwrap();
    for (host, mode, authorities, expected) in cases {
        let base = server.study().replace("127.0.0.1", host);
        let mut url = format!("{base}&sslmode={mode}");
        if let Some(file) = authorities {
            url.push_str(&format!("&sslrootcert={file}"));
        }
        let study = match (Postgres::create(&url), expected) {
            (Ok(study), Some(_)) => study,
            // A system may have no authorities at all.
            (Err(StudyError::Url { .. }), None) if authorities == Some("system") => continue,
            (Err(error), None) => {
                assert!(matches!(error, StudyError::Server { .. }), "{url}: {error}");
                assert!(error.to_string().contains("TLS"), "{url}: {error}");
                continue;
            }
            (outcome, _) => panic!("{url}: {outcome:?}"),
        };
        let sql = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                   WHERE application_name = 'bomf'";
        let rows = raw.query(sql, &[]).unwrap();
        let encrypted: Vec<bool> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(encrypted, [expected.unwrap()], "{url}");
        drop(study);
        let began = Instant::now();
        while !raw.query(sql, &[]).unwrap().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(20), "it has gone");
        }
    }
}

#[test]
fn a_server_that_cannot_encrypt_is_refused_where_that_is_required() {
    let Some(server) = Server::start() else {
        return;
    };
    if !server.is_own() {
        return;
    }
    let error = Postgres::create(&format!("{}&sslmode=require", server.study())).unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
    assert!(error.hint().unwrap().contains("sslmode"));
}
