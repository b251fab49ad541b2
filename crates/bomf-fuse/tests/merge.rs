//! Plans and their execution, on models in memory.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bomf_checkpoint::{CheckpointError, Dtype, FilesPlan, ModelLayout};
use bomf_fuse::execute::DEFAULT_MEMORY;
use bomf_fuse::method::{Source, Value};
use bomf_fuse::plan::{Origin, Plan, Work};
use bomf_fuse::recipe::{
    Body, Input, MergeParts, MergeRecipe, Setting, Settings, Slice, SliceSource,
};
use bomf_fuse::{Control, FuseError, Sink, Summary, TensorInfo, Weights, execute, registry};

/// A model in memory: tensors of `f32`, and of other types as bytes.
#[derive(Default)]
struct Model {
    name: &'static str,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Model {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    fn floats(mut self, name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensor = (Dtype::F32, shape.to_vec(), bytes);
        self.tensors.insert(name.into(), tensor);
        self
    }

    fn integers(mut self, name: &str, values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensor = (Dtype::I64, vec![values.len()], bytes);
        self.tensors.insert(name.into(), tensor);
        self
    }
}

impl Weights for Model {
    fn name(&self) -> String {
        self.name.into()
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        let (dtype, shape, _) = self.tensors.get(name)?;
        Some(TensorInfo {
            dtype: *dtype,
            shape,
        })
    }

    fn source(&self, name: &str) -> Option<Box<dyn Source + '_>> {
        let (_, _, bytes) = self.tensors.get(name)?;
        let values = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
        Some(Box::new(values.collect::<Vec<f32>>()))
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.tensors.get(name).map(|(_, _, bytes)| &bytes[..])
    }
}

fn weight(value: f64) -> Settings {
    let mut settings = Settings::default();
    settings.set("weight", Setting::constant(Value::Number(value)));
    settings
}

fn parts(method: &str, models: &[&str], base: Option<usize>, body: Body) -> MergeParts {
    MergeParts {
        method: registry::get(method).unwrap(),
        models: models.iter().map(|m| m.to_string()).collect(),
        base,
        body,
        parameters: weight(1.0),
        dtype: None,
        out_dtype: None,
        seed: 0,
    }
}

/// All of these models, each with weight one.
fn whole(method: &str, models: &[&str], base: Option<usize>) -> MergeParts {
    let input = |model| Input {
        model,
        parameters: Settings::default(),
    };
    let inputs = (0..models.len()).map(input).collect();
    parts(method, models, base, Body::Models(inputs))
}

/// Output bytes by tensor, as they come.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<(usize, u64), Vec<u8>>>);

impl Sink for Memory {
    fn put(&self, tensor: usize, start: u64, bytes: &[u8]) -> bomf_fuse::Result<()> {
        self.0
            .lock()
            .unwrap()
            .insert((tensor, start), bytes.to_vec());
        Ok(())
    }
}

/// Runs a plan and returns the bytes of each tensor.
fn run(plan: &Plan<'_>, max_memory: u64) -> (Vec<Vec<u8>>, Summary) {
    let files = FilesPlan::new(&plan.specs(), &ModelLayout::default()).unwrap();
    let sink = Memory::default();
    let control = Control::default();
    let summary = execute(plan, &files, &sink, max_memory, &control).unwrap();
    let mut tensors = vec![Vec::new(); plan.tensors.len()];
    for ((tensor, start), bytes) in sink.0.into_inner().unwrap() {
        assert_eq!(tensors[tensor].len() as u64, start, "no gap and no overlap");
        tensors[tensor].extend(bytes);
    }
    let total: u64 = plan.specs().iter().map(|spec| spec.num_bytes()).sum();
    assert_eq!(control.done.into_inner(), total);
    (tensors, summary)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect()
}

#[test]
fn floats_are_fused_and_the_rest_is_copied() {
    let a = Model::new("a")
        .floats("w", &[2], &[1.0, 2.0])
        .integers("ids", &[1, 2]);
    let b = Model::new("b")
        .floats("w", &[2], &[3.0, 6.0])
        .integers("ids", &[1, 3]);
    let recipe = MergeRecipe::new(whole("linear", &["a", "b"], None)).unwrap();
    let plan = Plan::new(&recipe, vec![&a, &b]).unwrap();
    assert_eq!(plan.notes.len(), 1);
    assert!(plan.notes[0].contains("`ids`"), "{:?}", plan.notes);
    let (tensors, summary) = run(&plan, DEFAULT_MEMORY);
    assert_eq!(Some(&tensors[0][..]), a.bytes("ids"));
    assert_eq!(floats(&tensors[1]), [2.0, 4.0]);
    assert_eq!(summary, Summary::default());
}

#[test]
fn a_base_that_the_method_does_not_use_is_one_model_more() {
    let models = ["a", "base"].map(|name| Model::new(name).floats("w", &[1], &[4.0]));
    let mut recipe = whole("linear", &["a", "base"], Some(1));
    recipe.body = Body::Models(vec![Input {
        model: 0,
        parameters: weight(3.0),
    }]);
    let recipe = MergeRecipe::new(recipe).unwrap();
    let plan = Plan::new(&recipe, vec![&models[0], &models[1]]).unwrap();
    let Work::Fuse {
        models,
        base,
        params,
        ..
    } = &plan.tensors[0].work
    else {
        panic!()
    };
    assert_eq!((models.len(), base), (2, &None));
    assert_eq!(params.numbers("weight"), [3.0, 1.0]);
}

#[test]
fn a_head_that_is_tied_is_read_from_the_embedding() {
    let embedding = "model.embed_tokens.weight";
    let tied = || Model::new("tied").floats(embedding, &[1, 1], &[1.0]);
    let untied = || {
        Model::new("untied")
            .floats(embedding, &[1, 1], &[3.0])
            .floats("lm_head.weight", &[1, 1], &[5.0])
    };
    let twice = Model::new("twice")
        .floats(embedding, &[1, 1], &[2.0])
        .floats("lm_head.weight", &[1, 1], &[2.0]);

    let recipe = MergeRecipe::new(whole("linear", &["untied", "tied"], None)).unwrap();
    let (a, b) = (untied(), tied());
    let plan = Plan::new(&recipe, vec![&a, &b]).unwrap();
    let (tensors, _) = run(&plan, DEFAULT_MEMORY);
    assert_eq!(floats(&tensors[0]), [3.0]);

    // The reference's set of tensors is kept; a head that is only a copy is no loss.
    let recipe = MergeRecipe::new(whole("linear", &["tied", "twice"], None)).unwrap();
    let a = tied();
    assert_eq!(
        Plan::new(&recipe, vec![&a, &twice]).unwrap().tensors.len(),
        1
    );
    let recipe = MergeRecipe::new(whole("linear", &["tied", "untied"], None)).unwrap();
    let b = untied();
    let error = Plan::new(&recipe, vec![&a, &b]).err().unwrap();
    assert!(matches!(error, FuseError::UntiedHead { .. }), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn models_that_do_not_go_together_are_refused_by_tensor_and_name() {
    let a = Model::new("a").floats("w", &[2], &[1.0, 2.0]);
    let recipe = MergeRecipe::new(whole("linear", &["a", "b"], None)).unwrap();
    let message = |b: &Model| Plan::new(&recipe, vec![&a, b]).err().unwrap().to_string();
    let b = Model::new("b").floats("w", &[2, 1], &[1.0, 2.0]);
    assert_eq!(message(&b), "tensor `w` is [2, 1] in b but [2] in a");
    let b = Model::new("b").floats("v", &[2], &[1.0, 2.0]);
    assert_eq!(message(&b), "tensor `w` is in a but not in b");
    let b = Model::new("b").integers("w", &[1, 2]);
    assert_eq!(message(&b), "tensor `w` is of type I64 in b but F32 in a");
}

#[test]
fn slices_take_their_layers_and_rename_them() {
    let layered = |name, layers: usize| {
        (0..layers).fold(
            Model::new(name).floats("norm", &[1], &[0.0]),
            |model, layer| model.floats(&format!("model.layers.{layer}.w"), &[1], &[layer as f32]),
        )
    };
    let (a, b) = (layered("a", 12), layered("b", 3));
    let source = |model, layers| SliceSource {
        input: Input {
            model,
            parameters: Settings::default(),
        },
        layers,
    };
    let slice = |sources| Slice {
        sources,
        base: None,
        parameters: Settings::default(),
    };
    let body = |end| {
        Body::Slices(vec![
            slice(vec![source(0, 0..11)]),
            slice(vec![source(1, 1..end)]),
        ])
    };
    let recipe = MergeRecipe::new(parts("passthrough", &["a", "b"], None, body(3))).unwrap();
    let plan = Plan::new(&recipe, vec![&a, &b]).unwrap();
    assert_eq!(plan.layers, Some(13));
    let origin = |name: &str| {
        let tensor = plan.tensors.iter().find(|t| t.spec.name == name).unwrap();
        match &tensor.work {
            Work::Fuse { models, .. } => models[0].clone(),
            Work::Copy(origin) => origin.clone(),
        }
    };
    let layer = |model, number: usize| Origin {
        model,
        tensor: format!("model.layers.{number}.w"),
    };
    assert_eq!(origin("model.layers.10.w"), layer(0, 10));
    assert_eq!(origin("model.layers.12.w"), layer(1, 2));
    assert_eq!(origin("norm").model, 1);

    let recipe = MergeRecipe::new(parts("passthrough", &["a", "b"], None, body(4))).unwrap();
    let error = Plan::new(&recipe, vec![&a, &b]).err().unwrap();
    assert_eq!(
        error.to_string(),
        "layers 1 to 4 are asked of b, which has 3"
    );
}

#[test]
fn inputs_are_rounded_to_the_type_of_the_recipe_before_they_are_fused() {
    // Between two neighbours of bf16, 1 and 1 + 2^-7, both a little below the middle.
    let a = Model::new("a").floats("w", &[1], &[1.0 + 0.0038]);
    let b = Model::new("b").floats("w", &[1], &[1.0 + 0.0038]);
    let mut recipe = whole("task_arithmetic", &["a", "b"], Some(0));
    recipe.parameters = weight(1.0);
    recipe.dtype = Some(Dtype::BF16);
    recipe.out_dtype = Some(Dtype::F32);
    let recipe = MergeRecipe::new(recipe).unwrap();
    let plan = Plan::new(&recipe, vec![&a, &b]).unwrap();
    let (tensors, _) = run(&plan, DEFAULT_MEMORY);
    assert_eq!(floats(&tensors[0]), [1.0]);
}

#[test]
fn the_bytes_do_not_depend_on_threads_or_memory() {
    let wave = |scale: f32| {
        (0..200_003)
            .map(|i| (i as f32 * scale).sin())
            .collect::<Vec<_>>()
    };
    let model = |name, scale| {
        Model::new(name)
            .floats("w", &[200_003], &wave(scale))
            .floats("x", &[3], &[scale; 3])
    };
    let models = [model("base", 0.1), model("a", 0.2), model("b", 0.3)];
    for method in ["linear", "dare_ties", "della", "slerp"] {
        let names: &[&str] = if method == "slerp" {
            &["base", "a"]
        } else {
            &["base", "a", "b"]
        };
        let mut recipe = whole(method, names, Some(0));
        recipe
            .parameters
            .set("t", Setting::constant(Value::Number(0.3)));
        recipe
            .parameters
            .set("density", Setting::constant(Value::Number(0.5)));
        recipe.out_dtype = Some(Dtype::BF16);
        let recipe = MergeRecipe::new(recipe).unwrap();
        let weights: Vec<&dyn Weights> = models[..names.len()]
            .iter()
            .map(|m| m as &dyn Weights)
            .collect();
        let plan = Plan::new(&recipe, weights).unwrap();
        let runs =
            [(1, DEFAULT_MEMORY), (3, DEFAULT_MEMORY), (2, 100_000)].map(|(threads, memory)| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                pool.install(|| run(&plan, memory).0)
            });
        assert!(runs[0] == runs[1] && runs[0] == runs[2], "{method}");
    }
}

#[test]
fn values_that_are_not_finite_are_counted_and_overflow_is_refused() {
    let a = Model::new("a").floats("v", &[2], &[1e30, 1.0]).floats(
        "w",
        &[3],
        &[f32::NAN, f32::INFINITY, 1.0],
    );
    let mut recipe = whole("linear", &["a"], None);
    let plain = MergeRecipe::new(whole("linear", &["a"], None)).unwrap();
    let plan = Plan::new(&plain, vec![&a]).unwrap();
    assert_eq!(
        run(&plan, DEFAULT_MEMORY).1.not_finite,
        [("w".to_owned(), 2)]
    );

    recipe.out_dtype = Some(Dtype::F16);
    let recipe = MergeRecipe::new(recipe).unwrap();
    let plan = Plan::new(&recipe, vec![&a]).unwrap();
    let files = FilesPlan::new(&plan.specs(), &ModelLayout::default()).unwrap();
    let found = execute(
        &plan,
        &files,
        &Memory::default(),
        DEFAULT_MEMORY,
        &Control::default(),
    );
    let error = found.unwrap_err().to_string();
    assert_eq!(error, "tensor `v` has 1 values beyond the range of F16");
}

/// A disk that is full after some pieces.
struct Full(AtomicUsize);

impl Sink for Full {
    fn put(&self, _: usize, _: u64, _: &[u8]) -> bomf_fuse::Result<()> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0..=2 => Ok(()),
            _ => Err(CheckpointError::DiskFull { path: "out".into() }.into()),
        }
    }
}

#[test]
fn a_full_disk_and_a_stop_end_the_fusion() {
    let values = vec![1.0; 3_000_000];
    let a = Model::new("a").floats("w", &[values.len()], &values);
    let recipe = MergeRecipe::new(whole("linear", &["a"], None)).unwrap();
    let plan = Plan::new(&recipe, vec![&a]).unwrap();
    let files = FilesPlan::new(&plan.specs(), &ModelLayout::default()).unwrap();
    let found = execute(
        &plan,
        &files,
        &Full(0.into()),
        DEFAULT_MEMORY,
        &Control::default(),
    );
    assert!(matches!(
        found,
        Err(FuseError::Checkpoint(CheckpointError::DiskFull { .. }))
    ));
    let control = Control::default();
    control.stop.store(true, Ordering::Relaxed);
    let found = execute(&plan, &files, &Memory::default(), DEFAULT_MEMORY, &control);
    assert!(matches!(found, Err(FuseError::Interrupted)));
    assert_eq!(control.done.into_inner(), 0);
}

#[test]
fn sums_run_in_f64_where_it_is_asked_for() {
    // In f32, one and a small number is one.
    let small = f32::EPSILON / 4.0;
    let a = Model::new("a").floats("w", &[3], &[1.0, 1.0, f32::NAN]);
    let b = Model::new("b").floats("w", &[3], &[small, -1.0, 1.0]);
    let c = Model::new("c").floats("w", &[3], &[-1.0, 3.0, 1.0]);
    let mut recipe = whole("linear", &["a", "b", "c"], None);
    recipe.parameters = weight(1.0);
    recipe
        .parameters
        .set("normalize", Setting::constant(Value::Flag(false)));
    recipe.dtype = Some(Dtype::F64);
    recipe.out_dtype = Some(Dtype::F32);
    let recipe = MergeRecipe::new(recipe).unwrap();
    let plan = Plan::new(&recipe, vec![&a, &b, &c]).unwrap();
    let (bytes, _) = run(&plan, DEFAULT_MEMORY);
    let values: Vec<f32> = bytes[0]
        .as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    assert_eq!(values[..2], [small, 3.0]);
    assert!(values[2].is_nan() && plan.notes.is_empty());

    let mut recipe = whole("karcher", &["a", "b"], None);
    recipe.dtype = Some(Dtype::F64);
    let recipe = MergeRecipe::new(recipe).unwrap();
    let plan = Plan::new(&recipe, vec![&a, &b]).unwrap();
    assert!(plan.notes[0].contains("`karcher` computes in f32"));
}
