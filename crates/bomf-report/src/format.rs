//! Numbers for people: true minus signs, narrow spaces between thousands, and a
//! dash for what is no number.

use serde_json::Value;

/// What stands for a value that is not there or not a number.
pub(crate) const NONE: &str = "–";

/// With so many decimals: `0.871`, `−0.030`.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    if value.abs() >= 1e9 {
        return short(value);
    }
    let text = format!("{:.decimals$}", value.abs());
    if value < 0.0 && text.bytes().any(|b| b.is_ascii_digit() && b != b'0') {
        format!("−{text}")
    } else {
        text
    }
}

/// With its sign, but none on a zero: `+0.013`, `−0.004`.
pub(crate) fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    let zero = !text.bytes().any(|b| (b'1'..=b'9').contains(&b));
    if text.starts_with('−') || text == NONE || zero {
        text
    } else {
        format!("+{text}")
    }
}

/// As a whole number with narrow spaces between thousands: `1 204`.
pub(crate) fn grouped(value: f64) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    if value.abs() >= 1e15 {
        return short(value);
    }
    let digits = format!("{:.0}", value.abs());
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if value < 0.0 && digits != "0" {
        format!("−{out}")
    } else {
        out
    }
}

/// A count.
pub(crate) fn count(n: usize) -> String {
    grouped(n as f64)
}

/// Shortest form with at most four significant digits, as one would type it:
/// `2.5e-5`, `0.01`, `32`.
pub(crate) fn short(value: f64) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let scientific = format!("{value:.3e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if (-3..6).contains(&power) {
        // Rounded to four digits first, so that no digit of noise is left.
        let rounded: f64 = scientific.parse().unwrap_or(value);
        return format!("{rounded}").replace('-', "−");
    }
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    format!("{}e{power}", mantissa.replace('-', "−"))
}

/// A span of time: `0.42 s`, `12 s`, `3 min 05 s`, `2 h 10 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NONE.into();
    }
    if seconds < 0.0995 {
        return format!("{:.0} ms", seconds * 1e3);
    }
    if seconds < 0.995 {
        return format!("{seconds:.2} s");
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round();
    if whole < 60.0 {
        return format!("{whole:.0} s");
    }
    if whole < 3600.0 {
        return format!("{:.0} min {:02.0} s", (whole / 60.0).floor(), whole % 60.0);
    }
    let minutes = (seconds / 60.0).round();
    format!(
        "{} h {:02.0} min",
        grouped((minutes / 60.0).floor()),
        minutes % 60.0
    )
}

/// Memory, from units of 10^6 bytes: `412 MB`, `1.5 GB`.
pub(crate) fn megabytes(mb: f64) -> String {
    if !mb.is_finite() || mb <= 0.0 {
        NONE.into()
    } else if mb < 1000.0 {
        format!("{mb:.0} MB")
    } else {
        format!("{} GB", fixed(mb / 1000.0, 1))
    }
}

/// A number of parameters: `2.4 M`.
pub(crate) fn parameters(n: usize) -> String {
    match n as f64 {
        x if x >= 1e9 => format!("{:.1} B", x / 1e9),
        x if x >= 1e6 => format!("{:.1} M", x / 1e6),
        _ => count(n),
    }
}

/// A hyperparameter's value.
pub(crate) fn json(value: &Value) -> String {
    match value {
        Value::Null => NONE.into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Number(n) if n.is_i64() || n.is_u64() => n.to_string().replace('-', "−"),
        Value::Number(n) => n.as_f64().map_or_else(|| n.to_string(), short),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_true_minus_signs_and_zero_has_none() {
        assert_eq!(fixed(-0.0301, 3), "−0.030");
        assert_eq!(fixed(-0.0001, 3), "0.000");
        assert_eq!(signed(0.0131, 3), "+0.013");
        assert_eq!(signed(-0.0131, 3), "−0.013");
        assert_eq!(signed(0.0001, 3), "0.000");
        assert_eq!(signed(f64::NAN, 3), NONE);
    }

    #[test]
    fn short_numbers_read_as_they_are_typed() {
        let cases = [
            (2.5e-5, "2.5e-5"),
            (1e-4, "1e-4"),
            (0.01, "0.01"),
            (32.0, "32"),
            (0.1 + 0.2, "0.3"),
            (-1e-7, "−1e-7"),
            (1.234_56e9, "1.235e9"),
            (0.0, "0"),
        ];
        for (value, expected) in cases {
            assert_eq!(short(value), expected);
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(grouped(-1500.0), "−1\u{202f}500");
    }

    #[test]
    fn durations_never_show_sixty_of_anything() {
        let cases = [
            (0.004, "4 ms"),
            (0.42, "0.42 s"),
            (0.999, "1.0 s"),
            (9.97, "10 s"),
            (59.7, "1 min 00 s"),
            (185.2, "3 min 05 s"),
            (3599.8, "1 h 00 min"),
            (7799.0, "2 h 10 min"),
            (f64::NAN, NONE),
            (-1.0, NONE),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
    }
}
