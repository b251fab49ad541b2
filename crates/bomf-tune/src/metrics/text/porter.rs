//! Porter's stemmer ("An algorithm for suffix stripping", Program 14(3), 1980) with the
//! changes of NLTK, which rouge-score and METEOR use.

/// A rule: a suffix, what takes its place, and a condition on what stands before it.
type Rule<'a> = (&'a str, &'a str, &'a dyn Fn(&[char]) -> bool);

/// Words whose stems are not found by rule.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

fn is_vowel(c: char) -> bool {
    matches!(c, 'a' | 'e' | 'i' | 'o' | 'u')
}

/// Which characters are consonants: a `y` is one unless it follows one.
fn consonants(word: &[char]) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for &c in word {
        let flag = match c {
            'y' => flags.last().is_none_or(|before| !before),
            c => !is_vowel(c),
        };
        flags.push(flag);
    }
    flags
}

/// How often a consonant follows a vowel.
fn measure(word: &[char]) -> usize {
    let flags = consonants(word);
    flags.windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(word: &[char]) -> bool {
    consonants(word).contains(&false)
}

fn ends_in_consonant(word: &[char]) -> bool {
    consonants(word).last() == Some(&true)
}

fn ends_in_double_consonant(word: &[char]) -> bool {
    matches!(word, [.., a, b] if a == b) && ends_in_consonant(word)
}

/// Consonant, vowel, consonant at the end, the last not `w`, `x` or `y`; or a word of a
/// vowel and a consonant.
fn ends_short(word: &[char]) -> bool {
    match (consonants(word).as_slice(), word.last()) {
        ([false, true], _) => true,
        ([.., true, false, true], Some(last)) => !matches!(last, 'w' | 'x' | 'y'),
        _ => false,
    }
}

fn ends_with(word: &[char], suffix: &str) -> bool {
    let n = suffix.chars().count();
    word.len() >= n && word[word.len() - n..].iter().copied().eq(suffix.chars())
}

/// `word` without its last characters, with others in their place.
fn replaced(word: &[char], suffix: &str, by: &str) -> Vec<char> {
    let kept = word.len() - suffix.chars().count();
    word[..kept].iter().copied().chain(by.chars()).collect()
}

/// The first rule whose suffix the word has, where its condition holds.
fn apply(word: Vec<char>, rules: &[Rule<'_>]) -> Vec<char> {
    for (suffix, by, condition) in rules {
        if ends_with(&word, suffix) {
            let kept = word.len() - suffix.chars().count();
            return match condition(&word[..kept]) {
                true => replaced(&word, suffix, by),
                false => word,
            };
        }
    }
    word
}

fn always(_: &[char]) -> bool {
    true
}

fn positive(stem: &[char]) -> bool {
    measure(stem) > 0
}

fn above_one(stem: &[char]) -> bool {
    measure(stem) > 1
}

fn plurals(word: Vec<char>) -> Vec<char> {
    if ends_with(&word, "ies") && word.len() == 4 {
        return replaced(&word, "ies", "ie");
    }
    apply(
        word,
        &[
            ("sses", "ss", &always),
            ("ies", "i", &always),
            ("ss", "ss", &always),
            ("s", "", &always),
        ],
    )
}

fn participles(word: Vec<char>) -> Vec<char> {
    if ends_with(&word, "ied") {
        let by = if word.len() == 4 { "ie" } else { "i" };
        return replaced(&word, "ied", by);
    }
    if ends_with(&word, "eed") {
        return apply(word, &[("eed", "ee", &positive)]);
    }
    let stem = ["ed", "ing"].iter().find_map(|suffix| {
        let stem = ends_with(&word, suffix).then(|| replaced(&word, suffix, ""))?;
        has_vowel(&stem).then_some(stem)
    });
    let Some(mut stem) = stem else {
        return word;
    };
    for suffix in ["at", "bl", "iz"] {
        if ends_with(&stem, suffix) {
            stem.push('e');
            return stem;
        }
    }
    if ends_in_double_consonant(&stem) {
        if !matches!(stem.last(), Some('l' | 's' | 'z')) {
            stem.pop();
        }
    } else if measure(&stem) == 1 && ends_short(&stem) {
        stem.push('e');
    }
    stem
}

fn y_to_i(word: Vec<char>) -> Vec<char> {
    let condition = |stem: &[char]| stem.len() > 1 && ends_in_consonant(stem);
    apply(word, &[("y", "i", &condition)])
}

fn double_suffixes(mut word: Vec<char>) -> Vec<char> {
    while ends_with(&word, "alli") && positive(&word[..word.len() - 4]) {
        word = replaced(&word, "alli", "al");
    }
    let before_gi = word[..word.len().saturating_sub(3)].to_vec();
    let before_log = |_: &[char]| positive(&before_gi);
    apply(
        word,
        &[
            ("ational", "ate", &positive),
            ("tional", "tion", &positive),
            ("enci", "ence", &positive),
            ("anci", "ance", &positive),
            ("izer", "ize", &positive),
            ("bli", "ble", &positive),
            ("alli", "al", &positive),
            ("entli", "ent", &positive),
            ("eli", "e", &positive),
            ("ousli", "ous", &positive),
            ("ization", "ize", &positive),
            ("ation", "ate", &positive),
            ("ator", "ate", &positive),
            ("alism", "al", &positive),
            ("iveness", "ive", &positive),
            ("fulness", "ful", &positive),
            ("ousness", "ous", &positive),
            ("aliti", "al", &positive),
            ("iviti", "ive", &positive),
            ("biliti", "ble", &positive),
            ("fulli", "ful", &positive),
            ("logi", "log", &before_log),
        ],
    )
}

fn long_suffixes(word: Vec<char>) -> Vec<char> {
    apply(
        word,
        &[
            ("icate", "ic", &positive),
            ("ative", "", &positive),
            ("alize", "al", &positive),
            ("iciti", "ic", &positive),
            ("ical", "ic", &positive),
            ("ful", "", &positive),
            ("ness", "", &positive),
        ],
    )
}

fn last_suffixes(word: Vec<char>) -> Vec<char> {
    let ion = |stem: &[char]| above_one(stem) && matches!(stem.last(), Some('s' | 't'));
    let mut rules: Vec<Rule<'_>> = Vec::new();
    for suffix in [
        "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent",
    ] {
        rules.push((suffix, "", &above_one));
    }
    rules.push(("ion", "", &ion));
    for suffix in ["ou", "ism", "ate", "iti", "ous", "ive", "ize"] {
        rules.push((suffix, "", &above_one));
    }
    apply(word, &rules)
}

fn last_letters(mut word: Vec<char>) -> Vec<char> {
    if let [stem @ .., 'e'] = word.as_slice() {
        let m = measure(stem);
        if m > 1 || (m == 1 && !ends_short(stem)) {
            word.pop();
        }
    }
    if ends_with(&word, "ll") && above_one(&word[..word.len() - 1]) {
        word.pop();
    }
    word
}

/// The stem of a word, in lower case; words of one or two characters are their own.
///
/// ```
/// use bomf_tune::metrics::text::stem;
/// assert_eq!(stem("Conditional"), "condit");
/// assert_eq!(stem("flies"), "fli");
/// ```
pub fn stem(word: &str) -> String {
    let lower = word.to_lowercase();
    if let Some((_, stem)) = IRREGULAR.iter().find(|(word, _)| *word == lower) {
        return (*stem).to_owned();
    }
    if word.chars().nth(2).is_none() {
        return lower;
    }
    let mut letters: Vec<char> = lower.chars().collect();
    for step in [
        plurals,
        participles,
        y_to_i,
        double_suffixes,
        long_suffixes,
        last_suffixes,
        last_letters,
    ] {
        letters = step(letters);
    }
    letters.into_iter().collect()
}
