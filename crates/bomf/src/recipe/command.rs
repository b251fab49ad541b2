//! A command line with placeholders, split into words without a shell.

use super::RecipeError;
use std::ffi::OsString;
use std::path::Path;

/// Stands for the folder of the model that is to be evaluated.
const MODEL: &str = "{model}";

/// Stands for the path that the program writes its metrics to.
const OUTPUT: &str = "{output}";

/// A command line with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    text: String,
    words: Vec<String>,
}

impl Template {
    /// Splits a text into words.
    pub fn new(text: &str, field: &str) -> Result<Self, RecipeError> {
        let words = shlex::split(text)
            .ok_or_else(|| wrong(text, field, "a command line whose quotes are closed"))?;
        if words.first().is_none_or(String::is_empty) {
            return Err(wrong(text, field, "a program with its arguments"));
        }
        Ok(Template {
            text: text.into(),
            words,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn contains(&self, placeholder: &str) -> bool {
        self.words.iter().any(|word| word.contains(placeholder))
    }

    /// The words with the values in the places of their names.
    pub fn fill(&self, values: &[(&str, OsString)]) -> Vec<OsString> {
        let next = |word: &str| {
            let found = values.iter().enumerate();
            let found = found.filter_map(|(i, (name, _))| Some((word.find(name)?, i)));
            found.min()
        };
        let fill = |word: &String| {
            let mut filled = OsString::new();
            let mut rest = word.as_str();
            // What is filled in is not looked at again: a path may hold braces.
            while let Some((at, i)) = next(rest) {
                let (name, value) = &values[i];
                filled.push(&rest[..at]);
                filled.push(value);
                rest = &rest[at + name.len()..];
            }
            filled.push(rest);
            filled
        };
        self.words.iter().map(fill).collect()
    }
}

fn wrong(text: &str, field: &str, expected: &str) -> RecipeError {
    RecipeError::BadValue {
        file: String::new(),
        line: 0,
        field: field.into(),
        value: format!("`{text}`"),
        expected: expected.into(),
        nearest: None,
    }
}

/// A command line that evaluates a model: words split as a POSIX shell splits them
/// (quotes and backslashes; nothing is expanded and no shell runs), with `{model}` for
/// the model's folder and, where the program writes its metrics to a file or a folder,
/// `{output}` for its path. Both may be parts of a word.
///
/// ```
/// use bomf::recipe::CommandLine;
///
/// let command = CommandLine::new("python3 eval.py --model={model}", "--evaluator")?;
/// assert!(!command.writes_output());
/// assert!(CommandLine::new("python3 eval.py", "--evaluator").is_err());
/// # Ok::<(), bomf::RecipeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine(Template);

impl CommandLine {
    /// A command line from text; `field` is what messages call it.
    ///
    /// # Errors
    /// [`RecipeError::BadValue`] where quotes are left open, there is no word, or no
    /// `{model}`.
    pub fn new(text: &str, field: &str) -> Result<Self, RecipeError> {
        let template = Template::new(text, field)?;
        if !template.contains(MODEL) {
            let expected = "a command line with {model} for the model's folder";
            return Err(wrong(text, field, expected));
        }
        Ok(CommandLine(template))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it names `{output}`, so that the metrics are read from there rather than
    /// from what the program prints.
    pub fn writes_output(&self) -> bool {
        self.0.contains(OUTPUT)
    }

    /// The program and its arguments, with the paths in their places.
    pub(crate) fn words(&self, model: &Path, output: &Path) -> Vec<OsString> {
        self.0
            .fill(&[(MODEL, model.into()), (OUTPUT, output.into())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, model: &str, output: &str) -> Vec<OsString> {
        let command = CommandLine::new(text, "x").unwrap();
        command.words(Path::new(model), Path::new(output))
    }

    #[test]
    fn words_are_split_like_a_shells_and_paths_are_never_split() {
        assert_eq!(
            filled(
                r#"sh -c 'cat "$1"/x' -- {model} --out={output}/a "b c" d\ e"#,
                "/my models/a",
                "/t/o"
            ),
            [
                "sh",
                "-c",
                r#"cat "$1"/x"#,
                "--",
                "/my models/a",
                "--out=/t/o/a",
                "b c",
                "d e"
            ]
        );
    }

    #[test]
    fn a_path_with_braces_is_left_as_it_is() {
        assert_eq!(
            filled("p a={model},b={output}{model}", "/{output}", "/{model}"),
            ["p", "a=/{output},b=/{model}/{output}"]
        );
    }

    #[test]
    fn nothing_is_expanded() {
        assert_eq!(
            filled("p {model} $HOME * ~ `x` ; rm", "m", "o"),
            ["p", "m", "$HOME", "*", "~", "`x`", ";", "rm"]
        );
    }

    #[test]
    fn command_lines_without_a_program_or_model_or_with_open_quotes_are_refused() {
        for (text, expected) in [
            ("", "a program"),
            ("'' {model}", "a program"),
            ("python eval.py", "{model}"),
            ("python 'eval {model}", "quotes"),
        ] {
            let error = CommandLine::new(text, "--evaluator")
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(error.contains("--evaluator"), "{error}");
        }
    }
}
