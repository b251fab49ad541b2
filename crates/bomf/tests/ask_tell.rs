//! The optimiser's protocol: whole conversations, and every way to get one wrong.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

use bomf::ask_tell::Session;
use proptest::prelude::*;
use serde_json::{Value, json};

const START: &str = r#"{"type": "start", "protocol": 1, "problem": "p", "space": "box", "dim": 2, "nx": 2, "nobj": 2,
    "lower": [-1, 10], "upper": [1, 20], "ref_point": [3, 3], "noisy": false, "budget": 20, "q": 1, "seed": 7}"#;

fn started() -> Session {
    let mut session = Session::new();
    let reply = session.reply(&START.replace('\n', " ")).unwrap();
    assert!(reply.contains("ready"), "{reply}");
    session
}

fn ask(session: &mut Session, q: usize) -> Vec<Vec<f64>> {
    let reply = session.reply(&json!({"type": "ask", "q": q}).to_string());
    let reply: Value = serde_json::from_str(&reply.unwrap()).unwrap();
    assert_eq!(reply["type"], "suggest", "{reply}");
    serde_json::from_value(reply["xs"].clone()).unwrap()
}

fn tell(session: &mut Session, x: &[f64], y: &[f64]) {
    let line = json!({"type": "tell", "points": [{"id": 0, "x": x, "y": y}]}).to_string();
    assert_eq!(session.reply(&line), None);
}

/// The message of the error that `line` gets.
fn error(session: &mut Session, line: &str) -> String {
    let reply = session.reply(line).expect("an answer");
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(reply["type"], "error", "{reply}");
    let hint = reply["hint"].as_str().unwrap_or_default();
    format!("{} | {hint}", reply["message"].as_str().unwrap())
}

#[test]
fn a_box_is_minimised_in_its_natural_bounds() {
    let mut session = started();
    for x in [[0.0, 15.0], [-0.5, 12.0], [0.5, 18.0]] {
        tell(
            &mut session,
            &x,
            &[x[0].powi(2), (x[1] / 10.0 - 1.3).powi(2)],
        );
    }
    let mut best = f64::INFINITY;
    for _ in 0..12 {
        let x = ask(&mut session, 1).remove(0);
        assert!((-1.0..=1.0).contains(&x[0]) && (10.0..=20.0).contains(&x[1]));
        let y = [x[0].powi(2), (x[1] / 10.0 - 1.3).powi(2)];
        best = best.min(y[0] + y[1]);
        tell(&mut session, &x, &y);
    }
    assert!(best < 0.01, "{best}");
}

#[test]
fn a_simplex_is_suggested_in_batches_of_distinct_mixtures() {
    let mut session = Session::new();
    session
        .reply(
            r#"{"type": "start", "protocol": 1, "space": "simplex", "dim": 3, "nx": 4, "nobj": 1}"#,
        )
        .unwrap();
    tell(&mut session, &[0.25; 4], &[0.5]);
    tell(&mut session, &[1.0, 0.0, 0.0, 0.0], &[0.9]);
    let xs = ask(&mut session, 4);
    assert_eq!(xs.len(), 4);
    for (i, x) in xs.iter().enumerate() {
        assert!((x.iter().sum::<f64>() - 1.0).abs() < 1e-9 && x.iter().all(|v| *v >= 0.0));
        assert!(!xs[..i].contains(x));
    }
}

#[test]
fn the_same_seed_gives_the_same_suggestions() {
    let run = || {
        let mut session = started();
        tell(&mut session, &[0.0, 15.0], &[1.0, 2.0]);
        tell(&mut session, &[0.5, 11.0], &[2.0, 1.0]);
        ask(&mut session, 3)
    };
    assert_eq!(run(), run());
}

#[test]
fn the_seed_of_a_start_goes_before_that_of_the_session() {
    let run = |own: u64, start: &str| {
        let mut session = Session::with_seed(own);
        session.reply(&start.replace('\n', " ")).unwrap();
        ask(&mut session, 2)
    };
    let without = START.replace(r#", "seed": 7"#, "");
    assert_ne!(without, START);
    assert_eq!(run(3, START), run(4, START));
    assert_ne!(run(3, &without), run(4, &without));
    assert_eq!(run(7, &without), run(3, START));
}

#[test]
fn an_ask_before_anything_is_told_gives_a_design() {
    assert_eq!(ask(&mut started(), 5).len(), 5);
}

#[test]
fn a_failed_evaluation_is_told_with_null() {
    let mut session = started();
    for y in ["null", "[null, 1.0]"] {
        let line = format!(r#"{{"type": "tell", "points": [{{"x": [0, 15], "y": {y}}}]}}"#);
        assert_eq!(session.reply(&line), None);
    }
    assert_eq!(ask(&mut session, 1).len(), 1);
}

#[test]
fn stop_ends_the_session_and_empty_lines_say_nothing() {
    let mut session = started();
    assert_eq!(session.reply("  \n"), None);
    assert!(!session.is_stopped());
    assert_eq!(session.reply(r#"{"type": "stop"}"#), None);
    assert!(session.is_stopped());
}

#[test]
fn every_mistake_is_named_and_the_session_goes_on() {
    let tell = |point: &str| format!(r#"{{"type": "tell", "points": [{point}]}}"#);
    let cases = [
        ("{".to_owned(), "the line is not JSON"),
        ("[1]".to_owned(), "the line is not a request"),
        (r#"{"type": "guess"}"#.to_owned(), "unknown variant `guess`"),
        (r#"{"type": "ask", "n": 1}"#.to_owned(), "unknown field `n`"),
        (r#"{"type": "ask"}"#.to_owned(), "missing field `q`"),
        (r#"{"type": "ask", "q": 0}"#.to_owned(), "`q` is 0"),
        (r#"{"type": "ask", "q": -1}"#.to_owned(), "invalid value"),
        (r#"{"type": "ask", "q": 100000}"#.to_owned(), "1 to 10000"),
        (START.to_owned(), "`start` twice"),
        (tell(r#"{"x": [0, 15]}"#), "missing field `y`"),
        (
            tell(r#"{"x": [0], "y": [1, 2]}"#),
            "point 0: `x` is a list of 1, but 2",
        ),
        (
            tell(r#"{"x": [0, 15], "y": [1]}"#),
            "point 0: `y` is a list of 1, but 2",
        ),
        (tell(r#"{"x": [0, 15], "y": [NaN, 1]}"#), "JSON has no NaN"),
        (tell(r#"{"x": [0, 1e999], "y": [1, 1]}"#), "out of range"),
        (
            tell(r#"{"x": [0, 21], "y": [1, 1]}"#),
            "`x[1]`: 21 is not in the floats [10, 20]",
        ),
        (
            tell(r#"{"x": [0, 15], "y": [1, 1], "z": 1}"#),
            "unknown field `z`",
        ),
    ];
    let mut session = started();
    for (line, expected) in cases {
        let found = error(&mut session, &line.replace('\n', " "));
        assert!(found.contains(expected), "{line}: {found}");
    }
    assert_eq!(ask(&mut session, 1).len(), 1);
}

#[test]
fn a_wrong_start_is_refused_and_a_right_one_may_follow() {
    let valid: Value = serde_json::from_str(START).unwrap();
    let cases = [
        (
            "protocol",
            json!(2),
            "`protocol` is 2, but this is version 1",
        ),
        ("space", json!("ball"), "unknown variant `ball`"),
        ("dim", json!(3), "`dim` is 3, but 2"),
        ("nx", json!(0), "at least 1"),
        ("nobj", json!(0), "at least 1"),
        ("lower", json!([0]), "`lower` is a list of 1, but 2"),
        ("upper", Value::Null, "`upper` is missing"),
        (
            "upper",
            json!([-1, 20]),
            "the lower bound must be below the upper bound",
        ),
        ("ref_point", json!([1]), "`ref_point` is a list of 1, but 2"),
        ("sed", json!(1), "unknown field `sed`"),
    ];
    let mut session = Session::new();
    let found = error(&mut session, r#"{"type": "ask", "q": 1}"#);
    assert!(found.contains("`ask` before `start`"), "{found}");
    for (field, value, expected) in cases {
        let mut start = valid.clone();
        start[field] = value;
        // A length of zero would disagree with the others first.
        if field == "nx" {
            start["dim"] = Value::Null;
        }
        let found = error(&mut session, &start.to_string());
        assert!(found.contains(expected), "{field}: {found}");
    }
    let simplex = r#"{"type": "start", "protocol": 1, "space": "simplex", "nx": 2, "nobj": 1, "lower": [0, 0]}"#;
    let found = error(&mut session, simplex);
    assert!(found.contains("null on the simplex"), "{found}");
    assert!(session.reply(&valid.to_string()).unwrap().contains("ready"));
}

#[test]
fn points_off_the_simplex_are_refused_and_none_of_the_line_is_kept() {
    let mut session = Session::new();
    let start = r#"{"type": "start", "protocol": 1, "space": "simplex", "nx": 2, "nobj": 1}"#;
    session.reply(start).unwrap();
    let line =
        r#"{"type": "tell", "points": [{"x": [0.5, 0.5], "y": [1]}, {"x": [0.5, 0.6], "y": [1]}]}"#;
    let found = error(&mut session, line);
    assert!(
        found.contains("point 1: the coefficients are not on the simplex"),
        "{found}"
    );
    // Were the first point kept, no design would be proposed any more that is Sobol's first.
    let mut fresh = Session::new();
    fresh.reply(start).unwrap();
    assert_eq!(ask(&mut session, 1), ask(&mut fresh, 1));
}

proptest! {
    #[test]
    fn no_line_breaks_a_session(lines in proptest::collection::vec(".{0,80}", 1..8)) {
        let mut session = started();
        for line in &lines {
            if let Some(reply) = session.reply(line) {
                let reply: Value = serde_json::from_str(&reply).unwrap();
                prop_assert!(reply["type"].is_string());
            }
        }
        prop_assert_eq!(ask(&mut session, 1).len(), 1);
    }

    #[test]
    fn no_bytes_break_a_session(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut session = started();
        session.reply_to_bytes(&bytes);
        prop_assert!(session.is_stopped() || !ask(&mut session, 1).is_empty());
    }
}
