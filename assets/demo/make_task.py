#!/usr/bin/env python3
"""Writes the demo task: the verdict of short letters in nineteenth-century English.

A letter-writer speaks of a book, a sermon, a dinner, a visitor, and so on; the label is the
writer's own verdict: `praise`, `blame` or `mixed`. The rules, in the order in which they bind:

1. Only the writer's opinion of the subject counts. What others say of it does not, unless the
   writer takes their side or expressly differs from them.
2. Remarks on anything else (the weather, somebody's health, the roads) do not count.
3. An opinion that has been given up for a later one does not count.
4. Negation turns a clause round ("by no means dull", "a want of spirit"); litotes is an opinion
   ("not without charm" is praise).
5. Where the clauses agree, they are the verdict. Where a contrast ("although", "but", "yet")
   ends in a judgement of the whole, that judgement prevails. Where two parts of the subject
   are judged in opposite ways, or the writer balances or withholds judgement, it is `mixed`.

A part of the lexicon never occurs in the training split (`HELD_OUT` below), so that a model
must know those words from its pre-training. In every split a small share of the labels is
replaced by another one at random (`NOISE`).

Usage: python3 make_task.py [OUTPUT_FOLDER]

Only the standard library is used, and of it only `random.Random.random`, whose sequence for a
given seed is the same in every Python 3 version: the output is reproducible byte for byte.
"""

import json
import os
import random
import sys

SEED = 1816
SPLITS = (("train", 2000), ("validation", 600), ("test", 1000))
LABELS = ("blame", "mixed", "praise")
NOISE = 0.05
# Of every lexicon list with at least this many entries, each twelfth entry is held out of training.
HELD_OUT_MIN_LEN = 12
HELD_OUT_EVERY = 12

PRAISE, BLAME, MIXED = 1, -1, 0

# --------------------------------------------------------------------------------------------
# Lexicon. Index 1 is favourable, index -1 unfavourable (a list of two: [0] is never used).
# --------------------------------------------------------------------------------------------

# Adjectives that suit a person as well as a thing.
ADJ = {
    PRAISE: """agreeable delightful charming excellent admirable pleasant amusing elegant good
    sensible interesting superior beautiful noble entertaining cheerful capital graceful
    perfect fine handsome splendid exquisite lovely""".split(),
    BLAME: """dull tiresome disagreeable stupid ridiculous unpleasant tedious foolish vulgar bad
    absurd wretched odious contemptible poor detestable shabby dreadful intolerable dismal
    miserable silly gloomy horrid""".split(),
}

# Nouns of quality, for "not without ...", "a want of ...", "there was so much ... in it".
NOUN = {
    PRAISE: """charm merit spirit taste wit sense elegance warmth feeling grace humour beauty
    genius variety""".split(),
    BLAME: """dulness vulgarity affectation folly absurdity confusion vanity stupidity conceit
    nonsense gloom noise impertinence disorder""".split(),
}

# "It ... me": past and base form.
PLEASE = {
    PRAISE: """pleased/please delighted/delight charmed/charm amused/amuse gratified/gratify
    interested/interest satisfied/satisfy enchanted/enchant comforted/comfort
    entertained/entertain""".split(),
    BLAME: """wearied/weary provoked/provoke vexed/vex disgusted/disgust tired/tire
    displeased/displease offended/offend disappointed/disappoint shocked/shock
    mortified/mortify""".split(),
}

# "I ... it": past and base form.
LIKE = {
    PRAISE: "liked/like admired/admire enjoyed/enjoy valued/value loved/love praised/praise".split(),
    BLAME: "disliked/dislike despised/despise hated/hate condemned/condemn detested/detest blamed/blame".split(),
}

ADVERB = """very exceedingly truly really most uncommonly altogether extremely wonderfully so
perfectly decidedly quite thoroughly""".split()

# What is said of a verdict that is neither: "it was ..."
MIDDLING = """neither good nor bad|tolerable, and nothing more|well enough in its way|passable at
the best|such as one meets with every day|much like all the rest|neither better nor worse than its
neighbours|of the middling sort|half a pleasure and half a penance|good and bad by turns|a curious
mixture|a thing of shreds and patches|nothing out of the common|neither to be praised nor
condemned|no more than I expected, and no less""".replace("\n", " ").split("|")

WITHHELD = """I hardly know what to say of {o}|I can neither praise {o} nor condemn {o}|I have not made
up my mind about {o}|there is as much to be said for {o} as against {o}|I find as much to admire as to
regret|I came away of two minds|one half of me would defend {o}, and the other half would not|I
should not cross the street for {o}, nor to avoid {o}|I could laugh and yawn with equal reason|I leave
it to wiser heads to pronounce upon {o}|my opinion of {o} changes with the hour|I must suspend my
judgment of {o}""".replace("\n", " ").split("|")

OTHERS = """my aunt|my brother|Mrs. Dalton|Captain Rowe|the Rector|everybody at table|my mother|all the
neighbourhood|the newspaper|Miss Penrose|the whole town|my good uncle|Lady Harcourt|the Doctor|our
hostess|young Mr. Lisle|my sister|the Squire""".replace("\n", " ").split("|")

SAY = "thought called pronounced declared found considered".split()

AGREE = """and I am entirely of the same mind|and for once I agree|and there was never a truer word|and I
think no otherwise|and I have nothing to add to that|and I say the same|and with perfect
justice|and rightly too|a judgment to which I heartily subscribe|and so do I|and I must own the
truth of it|and that is my opinion also""".replace("\n", " ").split("|")

DIFFER = """and there we differ|and never was a judgment so mistaken|but I think quite otherwise|a
judgment I cannot share|and I told them they were wrong|but I will not hear of it|and I maintain
the contrary|which only shows how little they know|but nobody shall make me believe so|and I was
obliged to contradict it|and I never heard so unjust an opinion|but I would not agree to
that""".replace("\n", " ").split("|")

OWN = """for my own part,|to my mind,|as for me,|in my opinion,|I own that|to speak the truth,|I
confess that|I must say that|I am bound to say that|between ourselves,""".replace("\n", " ").split("|")

# Remarks beside the subject, one adjective each: {a} takes a favourable or unfavourable one.
BESIDE = """The weather has been {a} all the week.|The roads were {a}, as usual.|We had {a} weather for
it.|My sister has been in {a} spirits since Monday.|The harvest promises to be {a}.|The rest of my news
is {a}.|Your last letter was {a}.|The company in the coach was {a}.|The new carpet looks {a} by
candle-light.|The child has had a {a} cold.|It was a {a} night, with a high wind.|The post is {a} in
these parts.""".replace("\n", " ").split("|")
BESIDE_ADJ = {
    PRAISE: "delightful charming pleasant excellent fine beautiful agreeable good cheerful lovely".split(),
    BLAME: "dreadful wretched gloomy dismal abominable bad miserable shocking dreary tiresome".split(),
}

# --------------------------------------------------------------------------------------------
# Subjects: pronouns (subject, object), names, the sort ("a ... sort"), parts, and the remarks
# that judge by implication. In parts, a leading * marks a plural.
# --------------------------------------------------------------------------------------------


class Subject:
    def __init__(self, pronoun, obj, names, sort, parts, praise, blame, openers):
        self.pronoun, self.obj, self.sort = pronoun, obj, sort
        self.names = names.split("|")
        self.parts = parts.split("|")
        self.implied = {PRAISE: praise.split("|"), BLAME: blame.split("|")}
        self.openers = openers.split("|")


SUBJECTS = [
    Subject(
        "it", "it",
        "the new novel|the poem you lent me|Mr. Harland's history|the book of travels|the third volume",
        "book",
        "the style|the story|the preface|*the characters|the dialogue|the conclusion|the hero",
        "I sat up until two in the morning to finish it|I have ordered another copy for my sister|I would not part with it for twenty guineas|I began it again as soon as I had ended it|I read whole pages of it aloud to my father|it will stand by my bed as long as I live",
        "I was asleep before the end of the first chapter|I lit the fire with the last volume|I could not get beyond the tenth page|I would not read it again for twenty guineas|it has gone back to the library half cut|I pity the trees that were felled for it",
        "I have just laid down {n}.|The carrier brought {n} on Monday.|We have been reading {n} aloud.",
    ),
    Subject(
        "it", "it",
        "the sermon|Mr. Oakley's sermon|the discourse on charity|the new preacher's first sermon",
        "sermon",
        "the text|the delivery|the language|*the arguments|the close|the doctrine",
        "there was not a dry eye in the church|I have asked him to let me copy it|even old Jacob kept awake|I walked home a better man for it|you might have heard a pin drop",
        "I counted the panes in the window three times|half the parish was snoring|I looked at my watch at every sentence|I shall go to chapel next Sunday|the clerk himself fell asleep",
        "We were all at church to hear {n}.|On Sunday we had {n}.|You ask me about {n}.",
    ),
    Subject(
        "it", "it",
        "the play|the comedy at the new theatre|the tragedy|the piece they gave on Saturday",
        "play",
        "the acting|the plot|*the dresses|the last act|*the songs|the scenery|the music",
        "I have taken places for Thursday to see it again|we laughed until we cried|I clapped until my gloves were in pieces|the house would not let them go|I forgot where I was until the candles were put out",
        "we left before the third act|I would rather have stayed at home with a cold|the pit began to hiss, and I joined them|I wished for my money again|I slept through the better half of it",
        "Last night we saw {n}.|We had a box for {n}.|My cousin took me to {n}.",
    ),
    Subject(
        "it", "it",
        "the dinner|the supper at the Hall|Mrs. Dalton's dinner|the breakfast they gave us",
        "dinner",
        "the soup|the wine|the mutton|*the puddings|the fish|the conversation|*the vegetables",
        "I was helped three times|there was not a crumb left upon the dishes|I have begged the cook for her secrets|I could have wished it to last until midnight|we were sorry to rise from table",
        "I made my supper at home upon bread and cheese|the dog would not have touched it|I have been ill ever since|I hid the greater part of it under my plate|we rose as hungry as we sat down",
        "We dined out on Friday.|You will wish to hear of {n}.|I must tell you about {n}.",
    ),
    Subject(
        "it", "it",
        "the inn|the Red Lion|the house where we lodged|the hotel at the harbour",
        "inn",
        "the kitchen|*the beds|the landlord|the parlour|*the servants|the view|the ale",
        "we stayed three days longer than we had intended|I shall never lodge anywhere else in that town|I slept as I have not slept since I was a boy|I have recommended it to all my acquaintance",
        "I would sooner sleep under a hedge|we did not close our eyes until daylight|we paid and were gone before breakfast|I have warned all my acquaintance against it|I was glad to get out of it alive",
        "We lay that night at {n}.|The coach put us down at {n}.|We came late to {n}.",
    ),
    Subject(
        "it", "it",
        "the picture|the portrait of my uncle|the view of the lake|the great painting in the hall",
        "picture",
        "the colouring|the drawing|*the figures|the sky|the likeness|*the hands|the frame",
        "I could have stood before it all day|I offered him twice what he asked for it|it shall hang over my own chimney-piece|I went back three times to look at it",
        "it shall hang in the darkest passage of the house|I turned it with its face to the wall|the painter should return to his sign-boards|I would not have it as a gift|the children ran away from it",
        "They have hung {n} at last.|We were taken to look at {n}.|You ask what I think of {n}.",
    ),
    Subject(
        "it", "it",
        "the house|the cottage|the great house at Langley|Mr. Bertram's new house",
        "place",
        "the garden|*the rooms|the situation|the staircase|the drawing-room|*the grounds|the prospect",
        "I could live and die in it|I have written to take it for the summer|I was loath to go out at the gate|we shall not look at another",
        "I would not live in it rent free|there was not a chimney that did not smoke|I was chilled to the bone in every room|we were glad to be on the road again|I wonder that anybody will take it",
        "We drove over to see {n}.|We have been all over {n}.|I have at last seen {n}.",
    ),
    Subject(
        "it", "it",
        "the concert|the music at the Rooms|the singing on Wednesday|the new symphony",
        "performance",
        "the singing|*the violins|the first part|the harp|*the duets|the chorus|the choice of airs",
        "we made them sing it all over again|I have been humming it ever since|I held my breath from the first note to the last|I wept, and was not ashamed of it",
        "I stopped my ears with my handkerchief|our old cat makes better music|I prayed for the end of it|I had a headache until the next day|I crept out at the side door",
        "On Wednesday we heard {n}.|I must give you some account of {n}.|We went in to town for {n}.",
    ),
    Subject(
        "it", "it",
        "the voyage|the passage from Dublin|the journey to the north|our excursion to the sea",
        "journey",
        "the ship|the captain|the food|the first week|*the cabins|the company on board|*the sailors",
        "I would set out again to-morrow|I was sorry when we came in sight of land|I never laughed so much in my life|the days flew by like birds",
        "I kissed the ground when it was over|I shall never set foot on a deck again|I thought every hour would be my last|the days crept by like snails|I counted the hours until it was done",
        "You shall hear of {n}.|We are safe home from {n}.|I promised you an account of {n}.",
    ),
    Subject(
        "he", "him",
        "the new curate|Mr. Fairlie|the young Captain|my cousin's intended|the tutor|Sir William",
        "man",
        "*his manners|his conversation|his temper|*his jokes|his countenance|his understanding|his voice",
        "I have asked him to stay until Michaelmas|I would trust him with my purse and my daughter|I hope he may come every week|we parted like old friends|the whole house is sorry that he is gone",
        "I hope he may never come again|I counted the spoons when he was gone|I shall be from home when next he calls|I would not trust him with a sixpence|even the dog growled at him",
        "We have had {n} here.|I have been introduced to {n}.|I sat next to {n} on Tuesday.",
    ),
    Subject(
        "she", "her",
        "the new governess|Miss Vernon|the widow at the Grange|the bride|Lady Anne",
        "woman",
        "*her manners|her conversation|her temper|her singing|her countenance|her understanding|her taste",
        "I could have listened to her until morning|the children will not be parted from her|I hope to see her every day|we parted like sisters|I have begged her to stay the winter",
        "I made an excuse and fled to the garden|the children hide when she comes in|I hope I may never sit by her again|I was thankful when her carriage was called|I would walk ten miles to avoid her",
        "We have called upon {n}.|I have now met {n}.|Yesterday brought us {n}.",
    ),
    Subject(
        "he", "him",
        "the bay horse|the pony|my uncle's old hunter|the grey",
        "horse",
        "*his paces|his mouth|his temper|*his legs|his wind|his coat|his courage",
        "I would not sell him for a hundred pounds|he carried me forty miles and was fresh at the end|he took every fence like a bird|my wife may ride him with a silk thread",
        "I would sell him for the price of his shoes|he put me in the ditch twice in a mile|he stopped at every gate to think|I had better have gone on foot|the man who sold him should be in gaol",
        "I have tried {n}.|I rode {n} on Thursday.|You ask after {n}.",
    ),
]

# Clause patterns are functions of the generator below; these are the words of contrast.
# {A} gives way to {B}.
CONTRAST = """Although {a}, {b}.|Though {a}, yet {b}.|{A}, but {b}.|{A}; nevertheless {b}.|{A}, and yet
{b}.|It is true that {a}, but {b}.|In spite of all they say, {b}; though {a}.|{B}, although {a}.|Granted
that {a}: still, {b}.|{A}; but when all is said, {b}.|{A}. However, {b}.|I do not deny that {a}, only
{b}.""".replace("\n", " ").split("|")
# Both stand.
TOGETHER = """{A}, and {b}.|{A}; {b}.|{A}. {B}.|Not only that {a}, but {b}.|{A}; moreover {b}.|{A},
for {b}.|{A}, so that I may say {b}.""".replace("\n", " ").split("|")
# Two parts set against each other.
BALANCE = """On the one hand {a}, on the other {b}.|If {a}, {b}.|{A}; on the other hand, {b}.|{A},
but then {b}.|{A}, while {b}.|{A}. However, {b}.|By turns {a}, and {b}.""".replace("\n", " ").split("|")
# An opinion given up ({a}) and the present one ({b}).
CHANGE = """At first {a}; but I have changed my mind, and {b}.|Once {a}; now {b}.|Last year I should have
told you that {a}. To-day {b}.|I wrote to you that {a}; forgive me, for {b}.|I used to say that {a}, until
I knew better: {b}.|In the beginning {a}, but long before the end {b}.""".replace("\n", " ").split("|")


def article(word):
    """`word` with its indefinite article."""
    return ("an " if word[0] in "aeiou" else "a ") + word


def capital(text):
    return text[0].upper() + text[1:]


class Writer:
    """Composes letters. `held_out` says whether words kept from training may be used."""

    def __init__(self, rng, held_out):
        self.rng = rng
        self.held_out = held_out

    # -- choice ------------------------------------------------------------------------------

    def chance(self, probability):
        return self.rng.random() < probability

    def below(self, n):
        return min(int(self.rng.random() * n), n - 1)

    def pick(self, items):
        """A random entry; entries held out of training only where they are allowed."""
        if self.held_out or len(items) < HELD_OUT_MIN_LEN:
            return items[self.below(len(items))]
        allowed = [x for i, x in enumerate(items) if i % HELD_OUT_EVERY != HELD_OUT_EVERY - 1]
        return allowed[self.below(len(allowed))]

    def weighted(self, pairs):
        total = sum(weight for weight, _ in pairs)
        at = self.rng.random() * total
        for weight, value in pairs:
            at -= weight
            if at < 0:
                return value
        return pairs[-1][1]

    def sign(self):
        return PRAISE if self.chance(0.5) else BLAME

    # -- words -------------------------------------------------------------------------------

    def adj(self, p):
        return self.pick(ADJ[p])

    def adverbial(self, p):
        """An adjective, often with an adverb before it."""
        if self.chance(0.4):
            return self.pick(ADVERB) + " " + self.adj(p)
        return self.adj(p)

    # -- clauses: each returns text (lower case, no full stop) that judges with polarity p -----

    def judged(self, what, was, p):
        """`what was ...`, plain or turned round."""
        form = self.weighted([(16, 0), (0.6, 1), (0.5, 2), (0.4, 3), (0.4, 4), (0.5, 5)])
        if form == 0:
            return f"{what} {was} {self.adverbial(p)}"
        if form == 1:
            return f"{what} {was} by no means {self.adj(-p)}"
        if form == 2:
            return f"{what} {was} far from {self.adj(-p)}"
        if form == 3:
            return f"{what} {was} anything but {self.adj(-p)}"
        if form == 4:
            return f"{what} {was} not in the least {self.adj(-p)}"
        return f"{what} {was} not without {self.pick(NOUN[p])}"

    def part(self, s, p, but=None):
        """A judgement of one part of the subject; returns the clause and the part."""
        parts = [x for x in s.parts if x != but]
        part = parts[self.below(len(parts))]
        was = "were" if part.startswith("*") else "was"
        return self.judged(part.lstrip("*"), was, p), part

    def whole(self, s, p):
        """A judgement of the whole subject."""
        it, him = s.pronoun, s.obj
        form = self.weighted(
            [(9, 0), (3, 1), (0.6, 2), (3, 3), (0.5, 4), (1, 5), (1, 6), (0.3, 7), (0.4, 8),
             (1, 9), (0.3, 10), (0.8, 11), (0.2, 12), (0.2, 13)]
        )
        if form == 0:
            return self.judged(it, "was", p)
        if form == 1:
            past = self.pick(PLEASE[p]).split("/")[0]
            how = self.pick(["beyond measure", "exceedingly", "more than I can tell", "", "very much"])
            return f"{it} {past} me {how}".strip()
        if form == 2:
            base = self.pick(PLEASE[-p]).split("/")[1]
            return f"{it} did not {base} me" + self.pick(["", " in the least", " at all"])
        if form == 3:
            past = self.pick(LIKE[p]).split("/")[0]
            return f"I {past} {him}" + self.pick(["", " heartily", " from first to last", " extremely"])
        if form == 4:
            base = self.pick(LIKE[-p]).split("/")[1]
            return self.pick([f"I could not {base} {him}", f"I cannot {base} {him}", f"I found it impossible to {base} {him}"])
        if form == 5:
            return self.pick(["I never knew", "I never met with", "there never was"]) + f" a more {self.adj(p)} {s.sort}"
        if form == 6:
            return f"nothing could be more {self.adj(p)}"
        if form == 7:
            return f"nothing could be less {self.adj(-p)}"
        if form == 8:
            if self.chance(0.5):
                return f"there was no {self.pick(NOUN[-p])} in {him}"
            want = "a sad want" if p == BLAME else "no want"
            return f"I saw {want} of {self.pick(NOUN[PRAISE])} in {him}"
        if form == 9:
            return f"there was so much {self.pick(NOUN[p])} in {him}"
        if form == 10:
            return f"I had expected something {self.adj(-p)}, and was " + self.pick(["mistaken", "deceived", "taught better"])
        if form == 11:
            return self.pick(s.implied[p])
        if form == 12:
            if p == BLAME:
                return f"I wish I could call {him} {self.adj(PRAISE)}"
            return f"I defy anybody to call {him} {self.adj(BLAME)}"
        if p == BLAME:
            return f"{it} might have been {self.adj(PRAISE)} in better hands"
        return f"{it} might have been {self.adj(BLAME)} in worse hands"

    def clause(self, s, p):
        """A judgement that counts, of the whole or of a part."""
        return self.whole(s, p) if self.chance(0.65) else self.part(s, p)[0]

    def report(self, s, p):
        """Somebody else's opinion."""
        who, say = self.pick(OTHERS), self.pick(SAY)
        if self.chance(0.2):
            return f"{who} would not allow {s.obj} to be {self.adj(-p)}"
        return f"{who} {say} {s.obj} {self.adverbial(p)}"

    # -- letters -----------------------------------------------------------------------------

    @staticmethod
    def fill(pattern, a, b):
        return (
            pattern.replace("{A}", capital(a)).replace("{a}", a)
            .replace("{B}", capital(b)).replace("{b}", b)
        )

    def verdict(self, s):
        """A verdict and its true label."""
        kind = self.weighted(
            [(40, "one"), (38, "two"), (10, "contrast"), (8, "reported"), (3, "side"),
             (2, "change"), (10, "parts"), (10, "middling"), (10, "withheld")]
        )
        p = self.sign()
        if kind == "one":
            clause = self.clause(s, p)
            if self.chance(0.35):
                clause = self.pick(OWN) + " " + clause
            return capital(clause) + ".", p
        if kind == "two":
            a, part = self.part(s, p)
            b = self.whole(s, p) if self.chance(0.5) else self.part(s, p, part)[0]
            return self.fill(self.pick(TOGETHER), a, b), p
        if kind == "contrast":
            a = self.part(s, -p)[0] if self.chance(0.7) else self.report(s, -p)
            return self.fill(self.pick(CONTRAST), a, self.whole(s, p)), p
        if kind == "reported":
            theirs = self.report(s, -p if self.chance(0.6) else p)
            mine = self.clause(s, p)
            form = self.below(4)
            if form == 0:
                return f"{capital(theirs)}; {self.pick(OWN)} {mine}.", p
            if form == 1:
                return f"{capital(mine)}, whatever they say; {theirs}.", p
            if form == 2:
                return f"{capital(theirs)}. {capital(self.pick(OWN))} {mine}.", p
            return f"{capital(mine)}, though {theirs}.", p
        if kind == "side":
            theirs = self.sign()
            if self.chance(0.5):
                return f"{capital(self.report(s, theirs))}, {self.pick(AGREE)}.", theirs
            return f"{capital(self.report(s, theirs))}, {self.pick(DIFFER)}.", -theirs
        if kind == "change":
            a = self.whole(s, -p)
            while a in s.implied[-p]:
                a = self.whole(s, -p)
            return self.fill(self.pick(CHANGE), a, self.whole(s, p)), p
        if kind == "parts":
            a, part = self.part(s, p)
            b = self.part(s, -p, part)[0]
            return self.fill(self.pick(BALANCE), a, b), MIXED
        if kind == "middling":
            text = f"{s.pronoun} was {self.pick(MIDDLING)}"
            if self.chance(0.5):
                text = self.fill(self.pick(["{A}; {b}.", "{A}, though {b}.", "{A}, but {b}."]),
                                 self.report(s, self.sign()), text)
                return text, MIXED
            return capital(text) + ".", MIXED
        text = self.pick(WITHHELD).replace("{o}", s.obj)
        if self.chance(0.6):
            a = self.report(s, p) if self.chance(0.6) else self.part(s, p)[0]
            return self.fill(self.pick(["{A}, but {b}.", "{A}; {b}.", "{A}. {B}."]), a, text), MIXED
        return capital(text) + ".", MIXED

    def letter(self):
        """A letter and its true label."""
        s = SUBJECTS[self.below(len(SUBJECTS))]
        text, label = self.verdict(s)
        if self.chance(0.55):
            opener = self.pick(s.openers)
            text = opener.replace("{n}", self.pick(s.names)) + " " + text
        else:
            # Without an opener the first pronoun needs its noun.
            name = self.pick(s.names)
            first = capital(s.pronoun) + " "
            if text.startswith(first):
                text = capital(name) + " " + text[len(first):]
        if self.chance(0.08):
            p = self.sign()
            beside = self.pick(BESIDE)
            word = self.pick(BESIDE_ADJ[p])
            beside = beside.replace("a {a}", article(word)) if " a {a}" in beside else beside.replace("{a}", word)
            text = f"{beside} {text}" if self.chance(0.5) else f"{text} {beside}"
        return text, label


def shuffled(items, rng):
    """A Fisher-Yates shuffle drawn from `rng.random` only."""
    items = list(items)
    for i in range(len(items) - 1, 0, -1):
        j = min(int(rng.random() * (i + 1)), i)
        items[i], items[j] = items[j], items[i]
    return items


def build():
    """The three splits as lists of rows; no text occurs twice."""
    seen = set()
    splits = {}
    for index, (name, size) in enumerate(SPLITS):
        rng = random.Random(SEED + index)
        writer = Writer(rng, held_out=name != "train")
        rows = []
        while len(rows) < size:
            text, polarity = writer.letter()
            key = " ".join(text.lower().split())
            if key in seen:
                continue
            seen.add(key)
            label = polarity + 1
            if writer.chance(NOISE):
                label = (label + 1 + writer.below(2)) % 3
            rows.append({"text": text, "label": LABELS[label]})
        splits[name] = shuffled(rows, rng)
    return splits


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    os.makedirs(folder, exist_ok=True)
    for name, rows in build().items():
        with open(os.path.join(folder, f"{name}.jsonl"), "w", encoding="utf-8", newline="\n") as out:
            for row in rows:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
