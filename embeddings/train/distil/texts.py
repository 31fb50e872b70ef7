"""Writes the lists of texts that the built-in embedder learns from: texts.py <folder of data> <wordnet> <vocab.txt> <work folder>.

The folder of data holds `corpus/*.txt` (a text a line), `clinc150/data_full.json`, `banking77/train.csv` and
`self-instruct/*.jsonl`; only the training halves of CLINC150 and BANKING77 are read. WordNet 3.0's `data.*` files give
everyday English that the corpus lacks: glosses, usage examples, the examples with one word exchanged, and sentences
from plain templates. They are written to `everyday/*.txt` too, for the codebook.
"""
import csv
import json
import os
import random
import re
import sys

DATA, WORDNET, VOCABULARY, WORK = sys.argv[1:]
PARTS = ("noun", "verb", "adj", "adv")
GLOSSES = 45_000
EXCHANGED = 22_000
TEMPLATED = 24_000


def save(name, value):
    with open(os.path.join(WORK, name + ".json"), "w") as file:
        json.dump(value, file)
    print(name, len(value))


def jsonl(name):
    with open(os.path.join(DATA, name), encoding="utf8") as file:
        return [json.loads(line) for line in file]


def corpus():
    folder = os.path.join(DATA, "corpus")
    seen = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".txt"):
            with open(os.path.join(folder, name), encoding="utf8") as file:
                for line in file.read().split("\n"):
                    if line:
                        seen.setdefault(line, name[:-4])
    return seen


def self_instruct():
    tasks = jsonl("self-instruct/seed_tasks.jsonl") + jsonl("self-instruct/user_oriented_instructions.jsonl")
    texts = []
    for task in tasks:
        texts.append(task["instruction"])
        if task["instances"][0]["input"]:
            texts.append(task["instruction"] + "\n" + task["instances"][0]["input"])
    return texts


def synsets(part):
    """(words as spelt, their lower-case lemmas, pointers, gloss) of every synset."""
    with open(os.path.join(WORDNET, "data." + part), encoding="latin1") as file:
        for line in file:
            if line.startswith("  "):
                continue
            head, gloss = line.rstrip().split(" | ", 1)
            fields = head.split()
            count = int(fields[3], 16)
            words = [fields[4 + 2 * i].split("(")[0] for i in range(count)]
            yield words, [word.lower() for word in words], fields[4 + 2 * count :], gloss


def wordnet_texts():
    texts = []
    for part in PARTS:
        for words, _, _, gloss in synsets(part):
            for example in re.findall(r'"([^"]{12,200})"', gloss):
                texts.append((True, example))
            meaning = re.sub(r';\s*"[^"]*"[^;]*', "", gloss).split('; "')[0].strip()
            texts.append((False, ", ".join(word.replace("_", " ") for word in words[:3]) + ": " + meaning[:200]))
    random.Random(3).shuffle(texts)
    return [text for example, text in texts if example], [text for example, text in texts if not example][:GLOSSES]


def ending(verb, suffix):
    if verb.endswith("ie"):
        return verb[:-2] + "y" + suffix
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + suffix
    return doubled(verb) + suffix


def doubled(verb):
    return verb + verb[-1] if re.fullmatch(r"[^aeiou]*[aeiou][bdgklmnprt]", verb) else verb


def synthetic(examples, common):
    """Sentences with one word exchanged for a synonym or a sibling, and templates filled with common words."""
    rnd = random.Random(11)
    rank = {word: i for i, word in enumerate(common)}
    synonyms, siblings, by_part = {}, {}, {}
    for part in PARTS[:3]:
        children, members = {}, set()
        for _, lemmas, pointers, _ in synsets(part):
            words = [word for word in lemmas if word in rank]
            members.update(words)
            for word in words:
                synonyms.setdefault(word, set()).update(other for other in words if other != word)
            for parent in [pointers[i + 1] for i in range(1, len(pointers) - 2, 4) if pointers[i] == "@"]:
                children.setdefault(parent, []).extend(words)
        for words in children.values():
            for word in words:
                siblings.setdefault(word, set()).update(rnd.sample(words, min(6, len(words))))
        by_part[part] = sorted(members, key=rank.get)

    texts = []
    for example in examples:
        words = example.split()
        places = [i for i, word in enumerate(words) if word.lower() in siblings or synonyms.get(word.lower())]
        if len(words) < 4 or not places:
            continue
        place = rnd.choice(places)
        word = words[place].lower()
        others = sorted({*synonyms.get(word, ()), *siblings.get(word, ())} - {word})
        if not others:
            continue
        texts.append(" ".join([*words[:place], rnd.choice(others), *words[place + 1 :]]))
        if len(texts) >= EXCHANGED:
            break

    def common_word(part):
        words = by_part[part]
        return words[min(len(words) - 1, int(len(words) * rnd.random() ** 1.7))]

    beings = "man,woman,person,boy,girl,child,dog,cat,group of people,team,young man,little girl,old woman".split(",")
    noun = lambda: common_word("noun")
    verb = lambda: common_word("verb")
    adjective = lambda: common_word("adj")
    doing = lambda: ending(verb(), "ing")
    who = lambda: rnd.choice(beings) if rnd.random() < 0.5 else noun()
    where = lambda: rnd.choice("on in with near at over from into under by through behind".split())
    templates = [
        lambda: f"A {who()} is {doing()} a {noun()}.",
        lambda: f"A {who()} is {doing()} {where()} the {noun()}.",
        lambda: f"The {who()} is not {doing()} the {noun()}.",
        lambda: f"A {adjective()} {noun()} {where()} a {noun()}",
        lambda: f"Two {who()}s are {doing()} {where()} the {adjective()} {noun()}.",
        lambda: f"{noun().capitalize()} {noun()} {verb()}s {noun()} after {noun()}",
        lambda: f"{noun().capitalize()} to {verb()} {adjective()} {noun()}",
        lambda: f"The {noun()} said the {noun()} would {verb()} the {noun()}.",
        lambda: f"How do I {verb()} my {noun()}?",
        lambda: f"Can you {verb()} the {adjective()} {noun()} for me",
        lambda: f"What is the best {noun()} for a {adjective()} {noun()}?",
        lambda: f"why does my {noun()} {verb()} when I {verb()} it",
        lambda: f"{adjective()} {noun()}",
        lambda: f"{noun()} {noun()}",
        lambda: f"{verb()} the {noun()}",
        lambda: f"Explain the {noun()} of {noun()} and {noun()}.",
        lambda: f"Is {noun()} {adjective()}?",
    ]
    texts += [rnd.choice(templates)() for _ in range(TEMPLATED)]
    return texts


def known_words(common, seen):
    """Common words and their inflections that somebody wrote, most common first."""
    nouns, verbs = ({lemma for _, lemmas, _, _ in synsets(part) for lemma in lemmas} for part in PARTS[:2])

    def inflections(word):
        plural = word[:-1] + "ies" if re.search("[^aeiou]y$", word) else word + ("es" if re.search("(s|x|z|ch|sh)$", word) else "s")
        if word in nouns or word in verbs:
            yield plural, 0
        if word in verbs:
            yield ending(word, "ing"), 0
            yield word[:-1] + "ied" if re.search("[^aeiou]y$", word) else ending(word, "ed"), 0
            yield ending(word, "er"), 8_000
            yield ending(word, "ers"), 8_000

    places = {word: i for i, word in enumerate(common)}
    for i, word in enumerate(common[:9_000]):
        for inflection, later in inflections(word):
            if inflection in seen:
                places.setdefault(inflection, 6_000 + 2 * i + later)
    return sorted(places, key=places.get)


with open(VOCABULARY, encoding="utf8") as file:
    common = [word for word in file.read().split("\n") if re.fullmatch("[a-z]{2,}", word)]
by_source = corpus()
examples, glosses = wordnet_texts()
with open(os.path.join(DATA, "clinc150/data_full.json")) as file:
    clinc = json.load(file)["train"]
with open(os.path.join(DATA, "banking77/train.csv"), newline="") as file:
    banking = list(csv.reader(file))[1:]
sets = {
    "corpus": list(by_source),
    "self-instruct": self_instruct(),
    "wordnet-examples": examples,
    "wordnet-glosses": glosses,
    "clinc-train": [text for text, _ in clinc],
    "banking-train": [text for text, _ in banking],
}
seen = set()
for texts in sets.values():
    for text in texts:
        seen.update(re.findall("[a-z]+", text.lower()))
known = known_words(common, seen)
lemmas = {lemma for part in PARTS for _, words, _, _ in synsets(part) for lemma in words if re.fullmatch("[a-z]{2,}", lemma)}
sets["synthetic"] = synthetic(examples, common)
for name, texts in sets.items():
    save(name, texts)
os.makedirs(os.path.join(WORK, "everyday"), exist_ok=True)
for name in ("wordnet-examples", "synthetic"):
    with open(os.path.join(WORK, "everyday", name + ".txt"), "w") as file:
        file.writelines(text.replace("\n", " ") + "\n" for text in sets[name])
save("corpus.sources", list(by_source.values()))
save("clinc-train.labels", [label for _, label in clinc])
save("banking-train.labels", [label for _, label in banking])
save("known-words", known)
save("spellings", sorted({*known, *lemmas}))
