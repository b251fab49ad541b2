//! The tables of an experiment, for pages, papers and programs.

use bomf_study::experiment::{Experiment, Gain, MeanSd, ScoreRow};
use serde::Serialize;
use std::fmt::Write;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// A name for its file.
    pub name: &'static str,
    /// What it shows.
    pub title: String,
    /// The heads of its columns.
    pub head: Vec<String>,
    /// Its rows, as long as the head.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    fn new(name: &'static str, title: impl Into<String>, head: &[&str]) -> Self {
        Self {
            name,
            title: title.into(),
            head: head.iter().map(|&cell| cell.into()).collect(),
            rows: Vec::new(),
        }
    }

    /// As Markdown, the title as a heading.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = format!("|{}\n", "---|".repeat(self.head.len()));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("## {}\n\n{}{rule}{rows}", self.title, line(&self.head))
    }

    /// As a LaTeX table with the rules of `booktabs`.
    pub fn latex(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| latex_text(cell)).collect();
            format!("    {} \\\\\n", cells.join(" & "))
        };
        let columns = "l".repeat(self.head.len());
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!(
            "\\begin{{table}}\n  \\caption{{{}}}\n  \\begin{{tabular}}{{{columns}}}\n    \\toprule\n{}    \
             \\midrule\n{rows}    \\bottomrule\n  \\end{{tabular}}\n\\end{{table}}\n",
            latex_text(&self.title),
            line(&self.head),
        )
    }

    /// As CSV with a head (RFC 4180).
    pub fn csv(&self) -> String {
        let cell = |cell: &String| match cell.contains([',', '"', '\n']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell.clone(),
        };
        let line = |cells: &Vec<String>| {
            let cells: Vec<String> = cells.iter().map(cell).collect();
            cells.join(",") + "\r\n"
        };
        std::iter::once(&self.head)
            .chain(&self.rows)
            .map(line)
            .collect()
    }
}

fn latex_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                out.push('\\');
                out.push(c);
            }
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '±' => out.push_str("$\\pm$"),
            '−' => out.push_str("$-$"),
            c => out.push(c),
        }
    }
    out
}

/// Every table that there is something for.
pub fn tables(experiment: &Experiment) -> Vec<Table> {
    let mut tables = scores(experiment);
    tables.push(gains(
        "gains",
        "bomf against the other methods, over all runs (above zero is better)",
        "method",
        &experiment.gains,
    ));
    tables.push(gains(
        "ablation",
        "Each variant against the first, over all runs (above zero is better)",
        "first variant",
        &experiment.ablation,
    ));
    tables.extend([
        claims(experiment),
        hypervolumes(experiment),
        correlations(experiment),
        alignments(experiment),
        costs(experiment),
        failures(experiment),
    ]);
    tables.retain(|table| !table.rows.is_empty());
    tables
}

fn number(value: f64) -> String {
    format!("{value:.4}")
}

fn mean_sd(value: &MeanSd) -> String {
    match value.sd {
        Some(sd) => format!("{:.4} ± {sd:.4}", value.mean),
        None => number(value.mean),
    }
}

/// One table a task and variant.
fn scores(experiment: &Experiment) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let groups = experiment
        .scores
        .chunk_by(|a, b| (&a.task, &a.variant) == (&b.task, &b.variant));
    for rows in groups {
        let first = &rows[0];
        let chosen = &first.chosen;
        let others: Vec<&String> = first.report.keys().filter(|name| *name != chosen).collect();
        let title = format!("{}, {}: {} runs", first.task, first.variant, first.runs);
        let mut table = Table::new("scores", title, &["task", "variant", "method"]);
        table.head.push(format!("select {chosen}"));
        table.head.push(format!("report {chosen}"));
        table
            .head
            .extend(others.iter().map(|name| format!("report {name}")));
        table
            .head
            .extend(["hypervolume".into(), "evaluations".into()]);
        table.rows = rows
            .iter()
            .map(|row| score_row(row, chosen, &others))
            .collect();
        tables.push(table);
    }
    tables
}

fn score_row(row: &ScoreRow, chosen: &str, others: &[&String]) -> Vec<String> {
    let cell = |value: Option<&MeanSd>| value.map_or_else(String::new, mean_sd);
    let mut cells = vec![
        row.task.clone(),
        row.variant.clone(),
        row.method.as_str().into(),
        cell(row.select.get(chosen)),
        cell(row.report.get(chosen)),
    ];
    cells.extend(others.iter().map(|name| cell(row.report.get(*name))));
    cells.push(mean_sd(&row.hypervolume));
    cells.push(format!("{:.0}", row.evaluations));
    cells
}

fn gains(name: &'static str, title: &str, over: &str, gains: &[Gain]) -> Table {
    let head = [
        "variant",
        over,
        "of",
        "difference",
        "95 %",
        "better, equal, of runs",
    ];
    let mut table = Table::new(name, title, &head);
    table.rows = gains
        .iter()
        .map(|gain| {
            let interval = gain.interval.map_or_else(String::new, |[low, high]| {
                format!("[{low:+.4}, {high:+.4}]")
            });
            vec![
                gain.variant.clone(),
                gain.over.clone(),
                gain.of.clone(),
                format!("{:+.4}", gain.mean),
                interval,
                format!("{}, {}, {}", gain.better, gain.equal, gain.runs),
            ]
        })
        .collect();
    table
}

fn claims(experiment: &Experiment) -> Table {
    let head = ["variant", "on the select split", "holds in runs"];
    let mut table = Table::new("claims", "What must hold in every run", &head);
    table.rows = experiment
        .claims
        .iter()
        .map(|claim| {
            vec![
                claim.variant.clone(),
                claim.claim.clone(),
                format!("{} of {}", claim.held, claim.runs),
            ]
        })
        .collect();
    table
}

fn hypervolumes(experiment: &Experiment) -> Table {
    let title =
        "Hypervolume after so many evaluations, as a share of the first variant's in the end";
    let mut counts: Vec<usize> = experiment
        .hypervolume
        .iter()
        .map(|r| r.evaluations)
        .collect();
    counts.sort_unstable();
    counts.dedup();
    let mut table = Table::new("hypervolume", title, &["variant", "search"]);
    table
        .head
        .extend(counts.iter().map(|count| format!("after {count}")));
    let groups = experiment
        .hypervolume
        .chunk_by(|a, b| (&a.variant, a.method) == (&b.variant, b.method));
    for rows in groups {
        let mut cells = vec![rows[0].variant.clone(), rows[0].method.as_str().into()];
        for count in &counts {
            let row = rows.iter().find(|row| row.evaluations == *count);
            cells.push(row.map_or_else(String::new, |row| mean_sd(&row.share)));
        }
        table.rows.push(cells);
    }
    table
}

fn correlations(experiment: &Experiment) -> Table {
    let title = "Do mixtures with a lower loss have the better metric? (rank correlation over random mixtures)";
    let head = ["task", "seed", "metric", "Spearman", "mixtures"];
    let mut table = Table::new("correlation", title, &head);
    table.rows = experiment
        .correlation
        .iter()
        .map(|row| {
            vec![
                row.task.clone(),
                row.seed.to_string(),
                row.metric.clone(),
                format!("{:+.2}", row.spearman),
                row.mixtures.to_string(),
            ]
        })
        .collect();
    table
}

fn alignments(experiment: &Experiment) -> Table {
    let title = "Do configurations come in the same order as under the first variant?";
    let head = [
        "task",
        "seed",
        "variant",
        "by",
        "Spearman",
        "configurations",
        "seconds a trial: first, this",
    ];
    let mut table = Table::new("alignment", title, &head);
    table.rows = experiment
        .alignment
        .iter()
        .map(|row| {
            vec![
                row.task.clone(),
                row.seed.to_string(),
                row.variant.clone(),
                row.objective.clone(),
                format!("{:+.2}", row.spearman),
                row.configurations.to_string(),
                format!("{:.1}, {:.1}", row.seconds[0], row.seconds[1]),
            ]
        })
        .collect();
    table
}

fn costs(experiment: &Experiment) -> Table {
    let head = [
        "task",
        "variant",
        "stage 1",
        "fine-tuning",
        "stage 2",
        "total",
    ];
    let mut table = Table::new("costs", "Minutes of a run", &head);
    table.rows = experiment
        .costs
        .iter()
        .map(|row| {
            let mut cells = vec![row.task.clone(), row.variant.clone()];
            let parts = [row.stage1, row.finetune, row.stage2, row.total];
            cells.extend(parts.map(|seconds| format!("{:.1}", seconds / 60.0)));
            cells
        })
        .collect();
    table
}

fn failures(experiment: &Experiment) -> Table {
    let mut table = Table::new("failures", "Runs that failed", &["run", "error"]);
    table.rows = experiment
        .failed
        .iter()
        .map(|run| vec![run.folder.display().to_string(), run.error.clone()])
        .collect();
    table
}

/// All tables as one page in Markdown.
pub fn markdown(experiment: &Experiment) -> String {
    let mut page = format!(
        "# {}\n\n{} of {} runs; \"±\" is the standard deviation over them.\n",
        experiment.name,
        experiment.runs.len(),
        experiment.planned
    );
    for table in tables(experiment) {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n{}", table.markdown());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_escaped_as_each_format_wants() {
        let mut table = Table::new("t", "50 % of a_b", &["a|b", "c"]);
        table.rows.push(vec!["x, \"y\"".into(), "1 ± 2".into()]);
        assert_eq!(
            table.markdown(),
            "## 50 % of a_b\n\n| a\\|b | c |\n|---|---|\n| x, \"y\" | 1 ± 2 |\n"
        );
        assert_eq!(table.csv(), "a|b,c\r\n\"x, \"\"y\"\"\",1 ± 2\r\n");
        let latex = table.latex();
        assert!(latex.contains("\\caption{50 \\% of a\\_b}"), "{latex}");
        assert!(latex.contains("x, \"y\" & 1 $\\pm$ 2 \\\\"), "{latex}");
    }
}
