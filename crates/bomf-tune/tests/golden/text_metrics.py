"""Writes text_metrics.json: texts, references and their metrics by the reference packages.

    pip install rouge-score sacrebleu nltk
    python text_metrics.py

ROUGE is google's rouge-score, with and without its stemmer; BLEU, chrF and chrF++ are
sacreBLEU's corpus scores; METEOR is NLTK's with a WordNet that knows no synonyms, on words of
sacreBLEU's 13a. `words` are stems by NLTK's PorterStemmer.
"""

import importlib.metadata
import json
import pathlib
import random

from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import single_meteor_score
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

PAIRS = [
    ("the cat sat on the mat", "the cat is sitting on the mat"),
    ("The quick, brown fox -- jumped over 3.14 (or 1,000) lazy dogs!", "A quick brown fox jumps over 1,000 lazy dogs."),
    ("a fast restaurant near the river called The Eagle has a rating of 5 out of 5.",
     "The Eagle is a highly rated restaurant by the riverside; its rating is 5 out of 5."),
    ("", "something"),
    ("something", ""),
    ("", ""),
    ("identical texts, to the last word.", "identical texts, to the last word."),
    ("word", "word"),
    ("of of of of of", "of the of"),
    ("nothing shared here", "entirely different words"),
    ("2,5-dimethyl 3-4 x.y 7. 8, 9-", "2,5-dimethyl 3-4 x . y 7 . 8 , 9 -"),
    ("&quot;AT&amp;T&quot; &lt;b&gt; a-\nb <skipped>x's", "\"AT&T\" <b> ab x's"),
    ("Die Größe beträgt 3 Äpfel…", "Die Größe war drei Äpfel…"),
    ("정말 좋은 영화였다", "정말 좋은 영화 였다"),
    ("relational conditional hopping generalizations communities dying skies",
     "relate condition hopped generalized community die sky"),
    ("a\u00a0b\tc\u2003d\x1ce trailing \n", "a b c d e trailing"),
    ("...,,, --- ''' \"\"\" ()", "... ,,, --- ' \" ("),
    ("summaries summarise summarised documents quickly and quickly", "quickly summarising a document and a summary"),
]
WORDS = """caresses ponies ties caress cats feed agreed plastered bled motoring sing conflated
troubled sized hopping tanned falling hissing fizzed failing filing happy sky enjoy spy relational
conditional rational valenci hesitanci digitizer conformabli radicalli differentli vileli
analogousli vietnamization predication operator feudalism decisiveness hopefulness callousness
formaliti sensitiviti sensibiliti triplicate formative formalize electriciti electrical hopeful
goodness revival allowance inference airliner gyroscopic adjustable defensible irritant replacement
adjustment dependent adoption homologou communism activate angulariti homologous effective
bowdlerize probate rate cease controll roll dying lying tying news innings outings cannings howe
proceed exceed succeed died dies tried cried flies is as be yes geology apology theology fully
carefulli totally toy syzygy yyy y ay owed owing egg eggs ion lion million onion skies by
archaeology bibliographies 3rd x1s größe naïveté logical""".split()


def variations(n):
    """Texts like their references: words dropped, doubled and swapped."""
    rng = random.Random(0)
    sentences = [a for a, _ in PAIRS[:3]] + [b for _, b in PAIRS[:3]]
    pairs = []
    for _ in range(n):
        reference = " ".join(rng.sample(sentences, 2))
        words = reference.split()
        for _ in range(rng.randint(0, 12)):
            i, j = rng.randrange(len(words)), rng.randrange(len(words))
            change = rng.randrange(3)
            if change == 0 and len(words) > 3:
                words.pop(i)
            elif change == 1:
                words.insert(i, words[j])
            else:
                words[i], words[j] = words[j], words[i]
        pairs.append((" ".join(words), reference))
    return pairs


class NoSynonyms:
    def synsets(self, word):
        return []


def rouge(pairs, stemmed):
    names = ["rouge1", "rouge2", "rougeL"]
    scorer = rouge_scorer.RougeScorer(names, use_stemmer=stemmed)
    scores = [scorer.score(reference, text) for text, reference in pairs]
    return {name: [score[name].fmeasure for score in scores] for name in names}


def meteor(text, reference):
    words = Tokenizer13a()
    return single_meteor_score(words(reference.rstrip()).split(), words(text.rstrip()).split(), wordnet=NoSynonyms())


def corpus(pairs):
    texts, references = [a for a, _ in pairs], [[b for _, b in pairs]]
    return {
        "bleu": BLEU().corpus_score(texts, references).score / 100,
        "chrf": CHRF().corpus_score(texts, references).score / 100,
        "chrf++": CHRF(word_order=2).corpus_score(texts, references).score / 100,
    }


pairs = PAIRS + variations(12)
stemmer = PorterStemmer()
cases = {
    "versions": {name: importlib.metadata.version(name) for name in ["rouge-score", "sacrebleu", "nltk"]},
    "pairs": pairs,
    "rouge": rouge(pairs, False),
    "rouge_stemmed": rouge(pairs, True),
    "meteor": [meteor(*pair) for pair in pairs],
    "corpora": [
        {"pairs": list(span), **corpus([pairs[i] for i in range(*span)])}
        for span in [(0, len(pairs)), (0, 1), (1, 4), (3, 6), (5, 6), (6, 7), (7, 8), (8, 10), (9, 10), (10, 18), (13, 14), (18, 30)]
    ],
    "tokens_13a": [Tokenizer13a()(text.rstrip()).split() for pair in pairs for text in pair],
    "words": {word: stemmer.stem(word) for word in WORDS},
}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
