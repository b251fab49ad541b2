//! Words, as the reference implementations cut them.

/// White space to Python's `str.split`: Unicode's, and the four separators of ASCII.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The words that ROUGE sees: runs of ASCII letters and digits in lower case. Longer ones
/// than three characters are stemmed where `stemmed`.
pub fn rouge_words(text: &str, stemmed: bool) -> Vec<String> {
    let lower = text.to_lowercase();
    lower
        .split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit()))
        .filter(|word| !word.is_empty())
        .map(|word| match stemmed && word.len() > 3 {
            true => super::stem(word),
            false => word.to_owned(),
        })
        .collect()
}

/// The words of `mteval-v13a`, sacreBLEU's default: punctuation stands alone, periods and
/// commas not within numbers.
pub fn words_13a(text: &str) -> Vec<String> {
    let mut line = text.trim_end_matches(is_space).replace("<skipped>", "");
    line = line.replace("-\n", "").replace('\n', " ");
    if line.contains('&') {
        for (entity, sign) in [
            ("&quot;", "\""),
            ("&amp;", "&"),
            ("&lt;", "<"),
            ("&gt;", ">"),
        ] {
            line = line.replace(entity, sign);
        }
    }
    let mut chars = vec![' '];
    for c in line.chars() {
        match stands_alone(c) {
            true => chars.extend([' ', c, ' ']),
            false => chars.push(c),
        }
    }
    chars.push(' ');
    let point = |c: char| matches!(c, '.' | ',');
    let digit = |c: char| c.is_ascii_digit();
    let chars = pairs(
        &chars,
        |a, b| !digit(a) && point(b),
        |a, b| vec![a, ' ', b, ' '],
    );
    let chars = pairs(
        &chars,
        |a, b| point(a) && !digit(b),
        |a, b| vec![' ', a, ' ', b],
    );
    let chars = pairs(
        &chars,
        |a, b| digit(a) && b == '-',
        |a, b| vec![a, ' ', b, ' '],
    );
    chars
        .split(|&c| is_space(c))
        .filter(|word| !word.is_empty())
        .map(|word| word.iter().collect())
        .collect()
}

/// ASCII punctuation other than `'`, `,`, `-` and `.`.
fn stands_alone(c: char) -> bool {
    c.is_ascii_punctuation() && !matches!(c, '\'' | ',' | '-' | '.')
}

/// Rewrites pairs of neighbours from the left; a character is part of one pair at most.
fn pairs(
    chars: &[char],
    found: impl Fn(char, char) -> bool,
    rewritten: impl Fn(char, char) -> Vec<char>,
) -> Vec<char> {
    let mut out = Vec::with_capacity(chars.len() + 8);
    let mut i = 0;
    while i < chars.len() {
        match chars.get(i + 1) {
            Some(&next) if found(chars[i], next) => {
                out.extend(rewritten(chars[i], next));
                i += 2;
            }
            _ => {
                out.push(chars[i]);
                i += 1;
            }
        }
    }
    out
}
