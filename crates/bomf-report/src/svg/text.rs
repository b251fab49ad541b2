//! The width of text, estimated: a drawing cannot ask the reader's fonts.

/// Width of `text` set at `size` in a common sans serif, rather too wide than too
/// narrow.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size
}

/// Advance of a character in parts of the type size, after Inter and Arial.
fn em(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.29,
        ' ' | '\u{202f}' | '\u{a0}' | 'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '·' => 0.36,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.9,
        'A'..='Z' => 0.7,
        '0'..='9' | '+' | '−' | '=' | '<' | '>' => 0.63,
        c if (c as u32) >= 0x1100 => 1.05,
        _ => 0.58,
    }
}

/// `text`, cut to `longest` characters with an ellipsis.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.into();
    }
    let mut cut: String = text.chars().take(longest.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wider_letters_make_wider_words() {
        assert!(width("illi", 12.0) < width("mmww", 12.0));
        assert_eq!(width("", 12.0), 0.0);
    }

    #[test]
    fn long_names_are_cut_at_whole_characters() {
        assert_eq!(shortened("gelernt", 7), "gelernt");
        assert_eq!(shortened("größer als", 5), "größ…");
    }
}
