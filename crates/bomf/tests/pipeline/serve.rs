//! The evaluation of mixtures, offered to another program.

use crate::fixture::{FIXED, finished, finished_members, fusion, recipe};
use bomf::{Conversation, Error, Silent};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// The other side: what it says, and what it was told.
struct Client {
    says: VecDeque<String>,
    told: Vec<Value>,
}

impl Conversation for Client {
    fn next(&mut self, _: &dyn Fn() -> bool) -> std::io::Result<Option<Vec<u8>>> {
        Ok(self.says.pop_front().map(String::into_bytes))
    }

    fn send(&mut self, line: &str) -> std::io::Result<()> {
        assert!(!line.contains('\n'));
        self.told.push(serde_json::from_str(line).unwrap());
        Ok(())
    }
}

#[test]
fn mixtures_are_evaluated_line_by_line_as_the_run_scored_them() {
    let dir = tempfile::tempdir().unwrap();
    let run = &finished().results;
    let soup = run
        .methods
        .iter()
        .find(|m| m.name.as_str() == "uniform_soup")
        .unwrap();
    let mut client = Client {
        says: VecDeque::from([
            r#"{"evaluate": [0.25, 0.25, 0.25, 0.25]}"#.to_string(),
            String::new(),
            r#"{"evaluate": [0.25, 0.25]}"#.into(),
            "nonsense".into(),
            r#"{"evaluate": [0.25, 0.25, 0.25, 0.25]}"#.into(),
            r#"{"evaluate": [0, 0, 0, 1]}"#.into(),
            r#"{"stop": true}"#.into(),
            r#"{"evaluate": [1, 0, 0, 0]}"#.into(),
        ]),
        told: Vec::new(),
    };
    let out = dir.path().join("out");
    let request = fusion(&finished_members(), &finished().data, &out, recipe(FIXED));
    bomf::serve(&request, &mut client, &mut Silent).unwrap();
    let [problem, first, wrong, nonsense, again, vertex] = client.told.as_slice() else {
        panic!("{:?}", client.told);
    };
    assert_eq!(
        (&problem["n"], &problem["space"]),
        (&json!(4), &json!("simplex"))
    );
    assert_eq!(
        problem["objectives"][1],
        json!({"name": "accuracy", "direction": "maximize"})
    );
    let objective = |name: &str| run.objectives.iter().position(|o| o.name == name).unwrap();
    for name in ["loss", "accuracy"] {
        // The same members have the same scores and the same reference point.
        let members = run.finetune.members.iter().map(|m| json!(m.select[name]));
        for (i, score) in members.enumerate() {
            assert_eq!(problem["member_scores"][i][name], score);
        }
        assert_eq!(problem["ref_point"][name], run.ref_point[objective(name)]);
        assert_eq!(first["scores"][name], soup.select[name]);
        assert_eq!(vertex["scores"][name], problem["member_scores"][3][name]);
    }
    assert_eq!(wrong["error"], "2 weights, but there are 4 members");
    assert!(nonsense["error"].is_string() && nonsense["hint"].is_string());
    assert_eq!(again["scores"], first["scores"]);
    assert_eq!(
        (&first["evaluation"], &again["evaluation"]),
        (&json!(1), &json!(1))
    );
    let written = std::fs::read_to_string(out.join("trials.jsonl")).unwrap();
    assert_eq!(
        written.lines().filter(|l| l.contains("\"served\"")).count(),
        1
    );
    assert!(!out.join("results.json").exists());
}

#[test]
fn what_is_missing_is_said_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut request = fusion(&finished_members(), &finished().data, &out, recipe(FIXED));
    request.data = None;
    let mut client = Client {
        says: VecDeque::new(),
        told: Vec::new(),
    };
    let error = bomf::serve(&request, &mut client, &mut Silent).unwrap_err();
    assert!(matches!(error, Error::NoData) && error.is_bad_input());
    assert!(!out.exists() && client.told.is_empty());
}
