//! What an experiment runs, read from its YAML.

use crate::recipe::node::{self, Node, Value};
use crate::recipe::read::{Field, Section};
use crate::{Recipe, RecipeError};
use std::path::{Path, PathBuf};

/// The most seeds of an experiment.
const MAX_SEEDS: usize = 1000;

/// The variant of an experiment that names none.
const ONLY: &str = "bomf";

/// Counts of evaluations after which hypervolumes are compared, unless the file says others.
const EVALUATIONS: [usize; 4] = [15, 30, 60, 90];

/// The runs of an experiment: every task under every variant with every seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What it is called.
    pub name: String,
    /// The pre-trained model.
    pub model: String,
    /// What is learned.
    pub tasks: Vec<Task>,
    /// What is compared; the first is what the others are compared with.
    pub variants: Vec<Variant>,
    /// One run for each.
    pub seeds: Vec<u64>,
    /// Counts of evaluations after which hypervolumes are compared.
    pub evaluations: Vec<usize>,
}

/// A data set and the recipes that it is learned by.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// What it is called; a name of a folder.
    pub name: String,
    /// Its data.
    pub data: PathBuf,
    /// The recipe under each variant.
    pub recipes: Vec<Recipe>,
}

/// A way to run every task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// What it is called; a name of a folder.
    pub name: String,
    /// The earlier variant whose members it fuses, if it does not train its own.
    pub members_of: Option<usize>,
}

/// A task as the file has it.
struct Named {
    name: String,
    data: PathBuf,
    recipe: Option<PathBuf>,
}

impl Plan {
    /// Reads an experiment; recipes are looked for beside its file, and data in `data`, if that
    /// is given, or else there too. `model` takes the place of the file's.
    ///
    /// # Errors
    /// [`RecipeError`] with the line of whatever is wrong, in this file or in a recipe.
    pub fn load(
        path: &Path,
        data: Option<&Path>,
        model: Option<&str>,
    ) -> Result<Self, RecipeError> {
        let text = read(path)?;
        let file = path.display().to_string();
        let folder = path.parent().unwrap_or(Path::new(""));
        let root = node::parse(&text, &file)?;
        let whole = Field {
            file: &file,
            path: String::new(),
            node: &root,
        };
        if !matches!(root.value, Value::Map(_)) {
            return Err(whole.wrong_place("the experiment", "a mapping that has `tasks`"));
        }
        let mut top = whole.section()?;
        let stem = path.file_stem().unwrap_or_default();
        let mut name = stem.to_string_lossy().into_owned();
        top.read("name", &mut name, |f| f.text())?;
        let mut own_model = None;
        top.read("model", &mut own_model, |f| f.text().map(Some))?;
        let Some(model) = model.map(str::to_owned).or(own_model) else {
            return Err(whole.wrong_place("the experiment", "a mapping that has `model`"));
        };
        let mut seeds = vec![0];
        top.read("seeds", &mut seeds, |f| seeds_of(&f))?;
        let mut evaluations = EVALUATIONS.to_vec();
        top.read("evaluations", &mut evaluations, |f| {
            f.items()?.iter().map(|f| f.count(1, usize::MAX)).collect()
        })?;
        let Some(field) = top.field("tasks") else {
            return Err(whole.wrong_place("the experiment", "a mapping that has `tasks`"));
        };
        let data = data.unwrap_or(folder);
        let tasks = several(&field, |f| task(f, folder, data))?;
        distinct(&field, tasks.iter().map(|task| task.name.as_str()))?;
        let (mut variants, mut changes) = (Vec::new(), Vec::new());
        if let Some(field) = top.field("variants") {
            for item in several(&field, |f| Ok(f.clone()))? {
                let (variant, change) = variant(&item, &variants)?;
                variants.push(variant);
                changes.push(change);
            }
            distinct(&field, variants.iter().map(|variant| variant.name.as_str()))?;
        } else {
            changes.push(None);
            variants.push(Variant {
                name: ONLY.into(),
                members_of: None,
            });
        }
        top.finish()?;
        let tasks = tasks.into_iter().map(|task| {
            let (text, name) = match &task.recipe {
                Some(path) => (read(path)?, path.display().to_string()),
                None => (String::new(), file.clone()),
            };
            let recipes = changes.iter().map(|change| match change {
                Some(change) => Recipe::changed(&text, &name, change, &file),
                None => Recipe::from_yaml(&text, &name),
            });
            Ok(Task {
                recipes: recipes.collect::<Result<_, RecipeError>>()?,
                name: task.name,
                data: task.data,
            })
        });
        Ok(Plan {
            name,
            model,
            tasks: tasks.collect::<Result<_, RecipeError>>()?,
            variants,
            seeds,
            evaluations,
        })
    }
}

fn read(path: &Path) -> Result<String, RecipeError> {
    std::fs::read_to_string(path).map_err(|source| RecipeError::Read {
        path: path.into(),
        source,
    })
}

fn several<'a, T>(
    field: &Field<'a>,
    read: impl Fn(&Field<'a>) -> Result<T, RecipeError>,
) -> Result<Vec<T>, RecipeError> {
    let items = field.items()?;
    match items.is_empty() {
        true => Err(field.wrong("a list that is not empty")),
        false => items.iter().map(read).collect(),
    }
}

fn distinct<'a>(
    field: &Field<'_>,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), RecipeError> {
    let mut known = std::collections::BTreeSet::new();
    for name in names {
        if !known.insert(name) {
            return Err(field.wrong(format!("a list in which `{name}` stands once")));
        }
    }
    Ok(())
}

/// A list of seeds, or how many there are: from 0 on.
fn seeds_of(field: &Field<'_>) -> Result<Vec<u64>, RecipeError> {
    if let Value::List(_) = field.node.value {
        let seeds = several(field, |f| f.integer(0, u64::MAX))?;
        let names: Vec<String> = seeds.iter().map(u64::to_string).collect();
        distinct(field, names.iter().map(String::as_str))?;
        return Ok(seeds);
    }
    let count = field.count(1, MAX_SEEDS)?;
    Ok((0..count as u64).collect())
}

fn task(field: &Field<'_>, folder: &Path, data: &Path) -> Result<Named, RecipeError> {
    let mut section = mapping(field, "data")?;
    let Some(own) = section.field("data") else {
        return Err(field.wrong("a mapping that has `data`"));
    };
    let place = data.join(own.text()?);
    let last = place.file_name().unwrap_or_default();
    let mut name = last.to_string_lossy().into_owned();
    section.read("name", &mut name, |f| f.text())?;
    let mut recipe = None;
    section.read("recipe", &mut recipe, |f| Ok(Some(folder.join(f.text()?))))?;
    section.finish()?;
    Ok(Named {
        name: folder_name(field, name)?,
        data: place,
        recipe,
    })
}

fn variant(field: &Field<'_>, earlier: &[Variant]) -> Result<(Variant, Option<Node>), RecipeError> {
    let mut section = mapping(field, "name")?;
    let Some(name) = section.field("name") else {
        return Err(field.wrong("a mapping that has `name`"));
    };
    let name = folder_name(&name, name.text()?)?;
    let change = section.field("recipe").map(|field| field.node.clone());
    let mut members_of = None;
    section.read("members", &mut members_of, |f| {
        let name = f.text()?;
        let number = earlier.iter().position(|variant| variant.name == name);
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(f.wrong("the name of a variant above")),
        }
    })?;
    section.finish()?;
    Ok((Variant { name, members_of }, change))
}

/// Names become folders and cells of tables.
fn folder_name(field: &Field<'_>, name: String) -> Result<String, RecipeError> {
    let is_plain = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    match name.chars().all(is_plain) && !name.starts_with('.') && !name.is_empty() {
        true => Ok(name),
        false => Err(field.wrong("named by letters, digits, `_`, `-` and `.`")),
    }
}

fn mapping<'a>(field: &Field<'a>, with: &str) -> Result<Section<'a>, RecipeError> {
    match field.node.value {
        Value::Map(_) => field.section(),
        _ => Err(field.wrong(format!("a mapping that has `{with}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Surrogate;

    fn plan(text: &str) -> Result<Plan, RecipeError> {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("own.yaml", "stage2: {evaluations: 7}\n");
        write("plan.yaml", text);
        let path = folder.path().join("plan.yaml");
        Plan::load(&path, Some(Path::new("root")), None)
    }

    #[test]
    fn every_task_has_its_recipe_under_every_variant() {
        let plan = plan(
            "\
model: hf:owner/name
seeds: 3
tasks:
  - {data: glue/mrpc, recipe: own.yaml}
  - {data: cola, name: acceptability}
variants:
  - name: all
  - {name: direct, members: all, recipe: {stage2: {surrogate: direct}}}
",
        )
        .unwrap();
        assert_eq!((plan.name.as_str(), plan.seeds), ("plan", vec![0, 1, 2]));
        assert_eq!(plan.variants[1].members_of, Some(0));
        let mrpc = &plan.tasks[0];
        assert_eq!(
            (mrpc.name.as_str(), &*mrpc.data),
            ("mrpc", Path::new("root/glue/mrpc"))
        );
        for recipe in &mrpc.recipes {
            assert_eq!(recipe.stage2.evaluations, Some(7));
        }
        assert_eq!(mrpc.recipes[1].stage2.surrogate, Surrogate::Direct);
        assert_eq!(plan.tasks[1].name, "acceptability");
        assert_eq!(plan.tasks[1].recipes[0], Recipe::default());
    }

    #[test]
    fn slips_are_named_with_their_line() {
        for text in ["- a", "seeds: 3", "model: m\n", "tasks: [{data: a}]"] {
            let error = plan(text).unwrap_err().to_string();
            assert!(error.contains("a mapping that has"), "{text}: {error}");
        }
        for (text, line, words) in [
            ("tasks: []", 2, "not empty"),
            ("tasks: [{recipe: x}]", 2, "`data`"),
            ("tasks: [{data: a}, {data: b/a}]", 2, "`a` stands once"),
            ("seeds: [1, 1]\ntasks: [{data: a}]", 2, "`1` stands once"),
            ("tasks: [{data: a, name: ../b}]", 2, "named by letters"),
            (
                "tasks: [{data: a}]\nvariants: [{name: b, members: c}]",
                3,
                "variant above",
            ),
            ("tasks: [{data: a}]\nvariant: []", 3, "variants"),
            (
                "tasks: [{data: a}]\nvariants:\n  - {name: b, recipe: {stage2: {evaluation: 1}}}",
                4,
                "evaluations",
            ),
        ] {
            let error = plan(&format!("model: m\n{text}")).unwrap_err();
            let told = format!("{error} {}", error.hint().unwrap_or_default());
            assert!(told.contains(words), "{text}: {told}");
            assert!(told.contains(&format!("line {line}")), "{text}: {told}");
        }
    }
}
