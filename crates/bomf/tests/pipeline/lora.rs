//! Runs that train adapters.

use crate::fixture::{FIXED, Kind, encoder, names, recipe, request, write_data};
use bomf::Silent;
use bomf_checkpoint::Checkpoint;
use bomf_tune::lora::read_options;
use bomf_tune::models::{Head, Model};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const LORA: &str = "
stage1:
  trials: 2
  initial: 1
  epochs: 1
  lora_r: 2
  space:
    learning_rate: {type: log_float, low: 3.0e-3, high: 1.0e-2}
    batch_size: {type: int, low: 4, high: 8}
finetune:
  epochs: 4
  lora: {r: 4, alpha: 8, dropout: 0.1, target_modules: [query, value, output.dense]}
members: {count: 4}
stage2: {evaluations: 6}
";

#[test]
fn a_run_with_adapters_writes_full_members_and_the_adapters_that_make_them() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    write_data(&data, Kind::Sentences, "jsonl");
    let mut request = request(&data, &out, recipe(LORA));
    let results = bomf::run(&request, &mut Silent).unwrap();
    assert_eq!(results.stage1.lora_r, Some(2));
    assert_eq!(results.stage1.frozen_layers, 0);
    assert!(results.stage1.trials.iter().all(|t| t.value.is_some()));
    let members = &results.finetune.members;
    assert!(members.len() > 1);
    assert_eq!(names(&out.join("adapters")), names(&out.join("members")));

    let head = Head::Classifier { outputs: 2 };
    let base = Checkpoint::open(encoder()).unwrap();
    for member in members {
        // The adapter on the base model is the member.
        let adapter = out.join(member.path.replace("members", "adapters"));
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let (mut model, _) = Model::load(encoder(), head, &mut rng).unwrap();
        let options = read_options(&adapter).unwrap();
        assert_eq!((options.r, options.alpha, options.dropout), (4, 8.0, 0.1));
        model.adapt(&options, &mut rng).unwrap();
        let params = &mut model.params;
        model.network.read_adapter(&adapter, params).unwrap();
        let (full, _) = Model::load(&out.join(&member.path), head, &mut rng).unwrap();
        assert_eq!(model.merged_params(), full.params);
        // What is not adapted is the base model's, to the bit.
        let name = "encoder.layer.0.intermediate.dense.weight";
        let of = |c: &Checkpoint| {
            let name = c.names().find(|n| n.ends_with(name)).map(String::from);
            c.tensor(&name.unwrap()).unwrap().to_f32().unwrap()
        };
        let member = Checkpoint::open(out.join(&member.path)).unwrap();
        assert_eq!(of(&member), of(&base));
    }
    let best = results.methods.iter().map(|m| m.select["accuracy"]);
    assert!(best.fold(0.0, f64::max) > 0.6, "it learns something");

    // Cleared like the rest.
    request.overwrite = true;
    request.recipe = recipe(FIXED);
    bomf::finetune(&request, &mut Silent).unwrap();
    assert_eq!(names(&out.join("adapters")), [""; 0]);
}
