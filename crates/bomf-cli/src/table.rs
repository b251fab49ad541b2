//! Aligned columns of text.

/// A table: the first column to the left, the others to the right.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                line.push_str(&match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("  {cell:>width$}"),
                });
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A score with four decimals; a dash for one that is missing or no number.
pub fn score(value: Option<&f64>) -> String {
    match value {
        Some(value) if value.is_finite() => format!("{value:.4}"),
        _ => "-".into(),
    }
}

/// A hyperparameter as people write it.
pub fn value(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => match number.as_f64() {
            Some(number) if number.fract() != 0.0 && number.abs() < 0.01 => format!("{number:.2e}"),
            Some(number) if number.fract() != 0.0 => format!("{number:.4}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// Bytes in the largest decimal unit that keeps them above 1.
pub fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        1_000_000_000.. => (1e9, "GB"),
        1_000_000.. => (1e6, "MB"),
        1_000.. => (1e3, "kB"),
        _ => return format!("{bytes} bytes"),
    };
    format!("{:.1} {name}", bytes as f64 / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_without_spaces() {
        let mut table = Table::default();
        table.row(["name", "a", "long"]);
        table.row(["größer", "1", ""]);
        table.row(["x"]);
        assert_eq!(table.to_string(), "name    a  long\ngrößer  1\nx\n");
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(score(Some(&0.81236)), "0.8124");
        assert_eq!(score(Some(&f64::NAN)), "-");
        assert_eq!(score(None), "-");
        for (json, expected) in [("2.345e-5", "2.35e-5"), ("16", "16"), ("0.1", "0.1000")] {
            assert_eq!(value(&serde_json::from_str(json).unwrap()), expected);
        }
        assert_eq!(value(&"linear".into()), "linear");
        assert_eq!(
            (size(999), size(1_500)),
            ("999 bytes".into(), "1.5 kB".into())
        );
        assert_eq!(size(5_000_000_000), "5.0 GB");
    }
}
