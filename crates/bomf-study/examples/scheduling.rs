//! What scheduling costs: workers finish trials that take no time, through a queue and into the
//! storage, as stage 1 does it.
//!
//! `scheduling run STUDY WORKERS TRIALS` begins a study (a URL, or a new file), starts so many
//! processes and prints what came of it as JSON. `scripts/bench/scheduling.py` compares.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement, and no part of the library"
)]

use bomf_study::{Postgres, Queue, Sqlite, State, Storage, TrialRecord, is_url};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than the measurement.
const LEASE: Duration = Duration::from_secs(600);

/// A wait for something to do.
const LOOK: Duration = Duration::from_millis(1);

trait Both: Storage + Queue {}
impl<T: Storage + Queue> Both for T {}

fn open(study: &str) -> Box<dyn Both> {
    match is_url(study) {
        true => Box::new(Postgres::open(study).unwrap()),
        false => Box::new(Sqlite::open(Path::new(study)).unwrap()),
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["run", study, workers, trials] => {
            run(study, workers.parse().unwrap(), trials.parse().unwrap());
        }
        ["work", study, name] => work(study, name),
        _ => println!("scheduling run STUDY WORKERS TRIALS"),
    }
}

/// Says that it is ready, then finishes trials until there are no more, and says how many.
fn work(study: &str, name: &str) {
    let study = open(study);
    println!("ready");
    let mut finished = 0;
    loop {
        let Some(claim) = study.claim(name, LEASE).unwrap() else {
            if study.is_closed().unwrap() {
                break;
            }
            std::thread::sleep(LOOK);
            continue;
        };
        let x: f64 = claim.payload.parse().unwrap();
        let trial = TrialRecord {
            number: claim.number,
            parameters: [("x".to_string(), x.into())].into_iter().collect(),
            state: State::Complete,
            scores: [("loss".to_string(), x * x)].into_iter().collect(),
            value: Some(-x * x),
            step: 1,
            curve: Vec::new(),
            seconds: 0.0,
        };
        study
            .finish(&claim, &serde_json::to_string(&trial).unwrap())
            .unwrap();
        finished += 1;
    }
    println!("{finished}");
}

fn run(name: &str, workers: usize, trials: usize) {
    let study: Box<dyn Both> = match is_url(name) {
        true => {
            Postgres::remove(name).unwrap();
            Box::new(Postgres::create(name).unwrap())
        }
        false => Box::new(Sqlite::create(Path::new(name)).unwrap()),
    };
    let mut hands: Vec<_> = (0..workers)
        .map(|i| {
            let mut hand = Command::new(std::env::current_exe().unwrap())
                .args(["work", name, &format!("worker-{i}")])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut said = BufReader::new(hand.stdout.take().unwrap());
            said.read_line(&mut String::new()).unwrap();
            (hand, said)
        })
        .collect();

    // Stage 1's own window: results count in the order in which trials were asked for.
    let window = 2 * workers - 1;
    let (mut asked, mut told) = (0, 0);
    let mut early = BTreeMap::new();
    let began = Instant::now();
    while told < trials {
        let new: Vec<(usize, String)> = (asked..trials.min(told + window))
            .map(|n| (n, (n as f64 / trials as f64).to_string()))
            .collect();
        asked += new.len();
        if !new.is_empty() {
            study.enqueue(&new).unwrap();
        }
        early.extend(study.results(told).unwrap());
        let mut next = Vec::new();
        while let Some(result) = early.remove(&told) {
            next.push(serde_json::from_str(&result).unwrap());
            told += 1;
        }
        match next.is_empty() {
            true => std::thread::sleep(LOOK),
            false => study.add_trials(&next).unwrap(),
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    study.set_closed(true).unwrap();

    let mut finished = 0;
    for (hand, said) in &mut hands {
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        finished += line.trim().parse::<usize>().unwrap();
        hand.wait().unwrap();
    }
    let stored = study.trials().unwrap();
    let attempts: u64 = study.jobs().unwrap().iter().map(|job| job.attempts).sum();
    let outcome = serde_json::json!({
        "trials": trials,
        "workers": workers,
        "seconds": seconds,
        "lost": trials - stored.len(),
        "doubled": finished.abs_diff(trials) + attempts.abs_diff(trials as u64) as usize,
    });
    println!("{outcome}");
    if is_url(name) {
        drop(study);
        Postgres::remove(name).unwrap();
    }
}
