//! The contract of [`Queue`], over every back-end.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

mod server;

use bomf_study::{Claim, Ending, Memory, Postgres, Queue, Sqlite, Standing, StudyError};
use server::Server;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// A lease that is seen to run out.
const SHORT: Duration = Duration::from_millis(150);

/// A queue, and a way to another handle on it, as another process would have one.
type Handle<'a> = dyn Fn() -> Box<dyn Queue> + Sync + 'a;

/// Runs over every back-end.
fn check(test: impl Fn(&Handle<'_>)) {
    let shared = Arc::new(Memory::default());
    test(&|| Box::new(shared.clone()));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.db");
    test(&|| Box::new(Sqlite::create(&path).unwrap()));

    if let Some(server) = server() {
        let url = server.study();
        Postgres::create(&url).unwrap();
        test(&|| Box::new(Postgres::open(&url).unwrap()));
        Postgres::remove(&url).unwrap();
    }
}

/// One server for all tests; the last of them takes it along.
fn server() -> Option<Arc<Server>> {
    static SERVER: Mutex<Option<Weak<Server>>> = Mutex::new(None);
    let mut known = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = known.as_ref().and_then(Weak::upgrade) {
        return Some(server);
    }
    let server = Arc::new(Server::start()?);
    *known = Some(Arc::downgrade(&server));
    Some(server)
}

fn trials(numbers: impl IntoIterator<Item = usize>) -> Vec<(usize, String)> {
    let payload = |n: usize| (n, format!("{{\"x\": {n}, \"text\": \"ä '\"}}"));
    numbers.into_iter().map(payload).collect()
}

#[track_caller]
fn assert_lost(result: Result<(), StudyError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, StudyError::LeaseLost { .. }), "{error}");
}

fn standings(queue: &dyn Queue) -> Vec<Standing> {
    queue.jobs().unwrap().iter().map(|j| j.standing).collect()
}

#[test]
fn an_empty_queue_has_nothing_to_do_and_is_open() {
    check(|handle| {
        let queue = handle();
        assert_eq!(queue.claim("a", LONG).unwrap(), None);
        assert!(queue.jobs().unwrap().is_empty());
        assert!(queue.results(0).unwrap().is_empty());
        queue.enqueue(&[]).unwrap();
        assert_eq!(queue.release("a").unwrap(), 0);
        assert!(!queue.is_closed().unwrap());
        queue.set_closed(true).unwrap();
        assert!(handle().is_closed().unwrap());
        queue.set_closed(false).unwrap();
        assert!(!handle().is_closed().unwrap());
    });
}

#[test]
fn trials_go_out_by_number_and_come_back_with_results() {
    check(|handle| {
        let queue = handle();
        let all = trials([3, 0, 2]);
        queue.enqueue(&all).unwrap();
        let other = handle();
        let zero = other.claim("a", LONG).unwrap().unwrap();
        let two = queue.claim("b", LONG).unwrap().unwrap();
        assert_eq!(
            (zero.number, zero.attempt, &zero.payload),
            (0, 1, &all[1].1)
        );
        assert_eq!((two.number, two.worker.as_str()), (2, "b"));
        queue.finish(&two, "two").unwrap();
        other.finish(&zero, "").unwrap();
        use Standing::{Finished, Queued};
        assert_eq!(standings(&*queue), [Finished, Finished, Queued]);
        let results = [(0, String::new()), (2, "two".into())];
        assert_eq!(handle().results(0).unwrap(), results);
        assert_eq!(queue.results(1).unwrap(), results[1..]);
        let jobs = queue.jobs().unwrap();
        assert_eq!(jobs[1].worker.as_deref(), Some("b"));
        assert_eq!((jobs[1].attempts, jobs[1].losses), (1, 0));
    });
}

#[test]
fn the_same_trial_may_be_put_in_again_and_another_of_its_number_not() {
    check(|handle| {
        let queue = handle();
        queue.enqueue(&trials([0, 1])).unwrap();
        let claim = queue.claim("a", LONG).unwrap().unwrap();
        queue.finish(&claim, "done").unwrap();
        queue.enqueue(&trials([0, 1, 2])).unwrap();
        use Standing::{Finished, Queued};
        assert_eq!(standings(&*queue), [Finished, Queued, Queued]);
        let error = queue
            .enqueue(&[(3, "new".into()), (1, "other".into())])
            .unwrap_err();
        assert!(matches!(error, StudyError::Final { .. }), "{error}");
        assert_eq!(queue.jobs().unwrap().len(), 3, "all or none");
    });
}

#[test]
fn a_lease_that_runs_out_lets_another_take_over_and_the_late_result_is_refused() {
    check(|handle| {
        let queue = handle();
        queue.enqueue(&trials([0])).unwrap();
        let late = queue.claim("late", SHORT).unwrap().unwrap();
        assert_eq!(handle().claim("next", LONG).unwrap(), None);
        assert_eq!(standings(&*queue), [Standing::Running]);
        std::thread::sleep(2 * SHORT);
        assert_eq!(standings(&*queue), [Standing::Queued]);
        let next = handle().claim("next", LONG).unwrap().unwrap();
        assert_eq!((next.number, next.attempt), (0, 2));
        assert_lost(queue.heartbeat(&late, LONG));
        assert_lost(queue.give_back(&late));
        assert_lost(queue.finish(&late, "late"));
        queue.finish(&next, "next").unwrap();
        assert_lost(queue.finish(&late, "late"));
        assert_eq!(queue.results(0).unwrap(), [(0, "next".into())]);
        assert_eq!(queue.jobs().unwrap()[0].losses, 1);
    });
}

#[test]
fn a_sign_of_life_keeps_a_trial_and_a_lease_that_nobody_took_over_still_counts() {
    check(|handle| {
        let queue = handle();
        queue.enqueue(&trials([0])).unwrap();
        let claim = queue.claim("a", SHORT).unwrap().unwrap();
        queue.heartbeat(&claim, LONG).unwrap();
        std::thread::sleep(2 * SHORT);
        assert_eq!(queue.claim("b", LONG).unwrap(), None);
        queue.heartbeat(&claim, SHORT).unwrap();
        std::thread::sleep(2 * SHORT);
        queue.finish(&claim, "slow").unwrap();
        assert_eq!(queue.results(0).unwrap().len(), 1);
    });
}

#[test]
fn a_trial_given_back_goes_to_the_next_at_once() {
    check(|handle| {
        let queue = handle();
        queue.enqueue(&trials([0])).unwrap();
        let first = queue.claim("a", LONG).unwrap().unwrap();
        queue.give_back(&first).unwrap();
        assert_lost(queue.give_back(&first));
        assert_lost(queue.finish(&first, "x"));
        // The same worker, too, has another claim from now on.
        let second = queue.claim("a", LONG).unwrap().unwrap();
        assert_eq!(second.attempt, 2);
        assert_lost(queue.finish(&first, "x"));
        queue.finish(&second, "y").unwrap();
        let job = &queue.jobs().unwrap()[0];
        assert_eq!((job.attempts, job.losses), (2, 0), "nothing was lost");
    });
}

#[test]
fn what_a_dead_worker_had_is_released_and_nothing_else() {
    check(|handle| {
        let queue = handle();
        queue.enqueue(&trials(0..4)).unwrap();
        let done = queue.claim("dead", LONG).unwrap().unwrap();
        queue.finish(&done, "done").unwrap();
        let had = queue.claim("dead", LONG).unwrap().unwrap();
        let own = queue.claim("alive", LONG).unwrap().unwrap();
        assert_eq!(handle().release("dead").unwrap(), 1);
        use Standing::{Finished, Queued, Running};
        assert_eq!(standings(&*queue), [Finished, Queued, Running, Queued]);
        assert_lost(queue.finish(&had, "x"));
        queue.finish(&own, "y").unwrap();
        assert_eq!(queue.jobs().unwrap()[1].losses, 1);
    });
}

#[test]
fn the_first_result_stays_and_the_same_claim_may_bring_it_again() {
    check(|handle| {
        let queue = handle();
        queue.enqueue(&trials([0])).unwrap();
        let claim = queue.claim("a", LONG).unwrap().unwrap();
        queue.finish(&claim, "first").unwrap();
        handle().finish(&claim, "second").unwrap();
        assert_eq!(queue.results(0).unwrap(), [(0, "first".into())]);
        assert_lost(queue.heartbeat(&claim, LONG));
        assert_lost(queue.give_back(&claim));
        let made_up = Claim {
            attempt: 7,
            ..claim
        };
        assert_lost(queue.finish(&made_up, "x"));
        assert_eq!(queue.claim("b", LONG).unwrap(), None);
    });
}

#[test]
fn of_many_workers_none_loses_a_trial_and_none_doubles_one() {
    const WORKERS: usize = 6;
    const TRIALS: usize = 60;
    check(|handle| {
        handle().enqueue(&trials(0..TRIALS)).unwrap();
        let by = Mutex::new(BTreeMap::<usize, usize>::new());
        std::thread::scope(|scope| {
            for worker in 0..WORKERS {
                let by = &by;
                scope.spawn(move || {
                    let queue = handle();
                    let name = format!("worker {worker}");
                    while let Some(claim) = queue.claim(&name, LONG).unwrap() {
                        if claim.number % 7 == 0 && claim.attempt == 1 {
                            queue.give_back(&claim).unwrap();
                            continue;
                        }
                        *by.lock().unwrap().entry(claim.number).or_default() += 1;
                        queue.finish(&claim, &claim.number.to_string()).unwrap();
                    }
                });
            }
        });
        let by = by.into_inner().unwrap();
        assert_eq!(by.len(), TRIALS);
        assert!(by.values().all(|times| *times == 1), "{by:?}");
        let expected: Vec<_> = (0..TRIALS).map(|n| (n, n.to_string())).collect();
        assert_eq!(handle().results(0).unwrap(), expected);
    });
}

#[test]
fn who_had_a_trial_and_how_that_ended_is_remembered() {
    check(|handle| {
        let queue = handle();
        assert!(queue.attempts().unwrap().is_empty());
        queue.enqueue(&trials(0..2)).unwrap();
        let claim = |worker: &str, lease| queue.claim(worker, lease).unwrap().unwrap();
        queue.give_back(&claim("gives up", LONG)).unwrap();
        claim("dies", LONG);
        queue.release("dies").unwrap();
        claim("is slow", SHORT);
        std::thread::sleep(2 * SHORT);
        let last = claim("works", LONG);
        queue.heartbeat(&last, LONG).unwrap();
        queue.finish(&last, "r").unwrap();
        queue.finish(&last, "r").unwrap();
        claim("has just begun", LONG);

        let attempts = handle().attempts().unwrap();
        let ends: Vec<_> = attempts
            .iter()
            .map(|a| (a.number, a.attempt, a.worker.as_str(), a.ending))
            .collect();
        let expected = [
            (0, 1, "gives up", Some(Ending::GivenBack)),
            (0, 2, "dies", Some(Ending::Lost)),
            (0, 3, "is slow", Some(Ending::Lost)),
            (0, 4, "works", Some(Ending::Finished)),
            (1, 1, "has just begun", None),
        ];
        assert_eq!(ends, expected);
        for pair in attempts.windows(2) {
            // Clocks tell milliseconds.
            assert!(pair[0].began <= pair[0].ended.unwrap() + 1e-3);
            assert!(pair[0].ended.unwrap() <= pair[1].began + 1e-3);
        }
        // It held the trial for as long as its lease, not until another one came.
        let held = attempts[2].ended.unwrap() - attempts[2].began;
        let wanted = SHORT.as_secs_f64();
        assert!((0.5 * wanted..1.9 * wanted).contains(&held), "{held}");
        assert_eq!(attempts[4].ended, None);
    });
}
