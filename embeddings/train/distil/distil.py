"""Distils the built-in embedder's table: distil.py <work folder> <potion-base-2M.bin> <its tokenizer.json> <out folder>.

The work folder holds what texts.py, teacher.py and prepare.ts wrote. A text's vector is the sum of the rows of its
features, brought to length 1, and should be what a linear map makes of the teacher's vector; table and map are learnt
together. A word's row, as it ships, is its own row plus the mean of its n-grams' rows, so that an unknown word, of which
only the n-grams are there, lies near the known ones that look like it.

Four losses: the angle to the mapped teacher; how alike the texts of a batch are, pair by pair, to the teacher and to
potion; for texts with an intent, that those of one intent lie together (supervised contrastive loss, Khosla et al. 2020);
and after a third of the steps, what of all this a code of 16 digits keeps, and one of fewer: how alike a text and the code
of another are, and how far a code is from its text. The centroids of that code are learnt along and left behind; those of
the space are found by ../main.ts. Rows start at potion's vectors and are held near them, since most words are seen in few
texts.

One thread and a fixed seed: the same machine gives the same bytes.
"""
import json
import os
import struct
import sys

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

WORK, POTION, POTION_TOKENIZER, OUT = sys.argv[1:5]
STEPS = int(sys.argv[5]) if len(sys.argv) > 5 else 2_500
DIMENSIONS = 48
SHAPE_DIMENSIONS = 8
TEACHER_DIMENSIONS = 384
BATCH = 1_024
WARM_UP_STEPS = 100
RATE = 1.5e-3
MAP_RATE = 2e-4
ANGLE_WEIGHT = 1
PAIRS_WEIGHT = 20
INTENTS_WEIGHT = 0.1
HOLD_WEIGHT = 2
TEMPERATURE = 0.1
# Of the likeness that is learnt, beside the teacher's 1.
POTION_LIKENESS = 0.8
PAIRED_TEXTS = 1_024
CODES_FROM = 0.3
CODE_WEIGHT = 10
CODE_DISTANCE_WEIGHT = 0.1
SHORTER_CODE_WEIGHT = 1
CODE_RATE = 2e-3
CODE_MEAN_DECAY = 0.99
CELLS, LEVELS, BRANCHES = 256, 14, 16
SAMPLED_TEXTS = 30_000
INTENTS_A_STEP = 48
TEXTS_AN_INTENT = 6
MISSPELT = 0.1
# Of a batch: everyday English, which the corpus has little of.
EVERYDAY = 0.65
DROPPED_WORDS = 0.1
DROPPED_PAIRS = 0.3
MOST_FEATURES = 64
START_LENGTH = 0.3
TEXTS = ["corpus", "self-instruct", "wordnet-examples", "wordnet-glosses", "synthetic"]
INTENT_TEXTS = ["clinc-train", "banking-train"]

torch.set_num_threads(1)
torch.manual_seed(1)
torch.use_deterministic_algorithms(True)
rng = np.random.default_rng(1)


def load(name):
    with open(os.path.join(WORK, name + ".json")) as file:
        return json.load(file)


class Features:
    """Of lists of texts, one after another."""

    def __init__(self, names):
        parts = [[np.fromfile(os.path.join(WORK, name + end), kind) for end, kind in self.FILES] for name in names]
        starts = np.cumsum([0] + [len(rows) for _, rows, _ in parts])
        self.at = np.concatenate([[0]] + [at[1:].astype(np.int64) + start for (at, _, _), start in zip(parts, starts)])
        self.rows = np.concatenate([rows for _, rows, _ in parts])
        self.weights = np.concatenate([weights for _, _, weights in parts])
        shapes = [np.fromfile(os.path.join(WORK, name + ".shapes"), np.float32) for name in names]
        self.shapes = np.concatenate(shapes).reshape(-1, SHAPE_DIMENSIONS)

    FILES = ((".at", np.int32), (".rows", np.int32), (".weights", np.float32))

    def take(self, texts, most=MOST_FEATURES):
        """(rows, weights, where each text begins)"""
        begin = self.at[texts]
        counts = np.minimum(self.at[texts + 1] - begin, most)
        offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
        places = np.arange(counts.sum()) - np.repeat(offsets - begin, counts)
        return self.rows[places], self.weights[places], offsets

    def matrix(self, width):
        """n-grams of each text as a dense product: rows times a table of `width` rows."""
        texts = np.repeat(np.arange(len(self.at) - 1), np.diff(self.at))
        return torch.sparse_coo_tensor(
            np.stack([texts, self.rows]), self.weights.astype(np.float64), (len(self.at) - 1, width)
        ).coalesce()


def joined(parts):
    rows = np.concatenate([rows for rows, _, _ in parts])
    weights = np.concatenate([weights for _, weights, _ in parts])
    starts = np.cumsum([0] + [len(rows) for rows, _, _ in parts])
    return rows, weights, np.concatenate([offsets + start for (_, _, offsets), start in zip(parts, starts)])


def unit(vectors):
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)


def potion_sums():
    """The other teacher: a function from texts to the sums of its vectors of word pieces."""
    with open(POTION, "rb") as file:
        data = file.read()
    count, width = struct.unpack("<II", data[4:12])
    scales = np.frombuffer(data, np.float32, count, 12)
    table = np.frombuffer(data, np.int8, count * width, 12 + 4 * count).reshape(count, width) * scales[:, None]
    tokenizer = Tokenizer.from_file(POTION_TOKENIZER)
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def sums(texts):
        encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
        return np.stack([table[encoding.ids].sum(0) for encoding in encodings]).astype(np.float64)

    return sums


vocabulary = load("vocabulary")
WORDS, GRAMS = len(vocabulary["words"]), vocabulary["grams"]
HASHED = WORDS + vocabulary["pairs"]
COUNT = HASHED + GRAMS + 1

texts, misspelt = Features(TEXTS), Features([name + ".typos" for name in TEXTS])
intent_texts = Features(INTENT_TEXTS)
word_grams, spelling_grams = Features(["vocabulary"]), Features(["spellings"])
teacher = np.concatenate([np.load(os.path.join(WORK, name + ".npy")) for name in TEXTS]).astype(np.float32)
intent_teacher = np.concatenate([np.load(os.path.join(WORK, name + ".npy")) for name in INTENT_TEXTS]).astype(np.float32)
mean = np.load(os.path.join(WORK, "corpus.npy")).astype(np.float32).mean(0)
teacher, intent_teacher = unit(teacher - mean), unit(intent_teacher - mean)
labels = [name + label for name in INTENT_TEXTS for label in load(name + ".labels")]
names, intents = np.unique(labels, return_inverse=True)
members = [np.where(intents == intent)[0] for intent in range(len(names))]
potion = potion_sums()
potion_vectors, intent_potion = (
    unit(np.concatenate([potion(load(name)) for name in lists])).astype(np.float32) for lists in (TEXTS, INTENT_TEXTS)
)
potion_centre = 0.5 * potion_vectors[: len(load(TEXTS[0]))].mean(0)
full = np.where(np.diff(texts.at) > 0)[0]
asked, everyday = np.split(full, [np.searchsorted(full, len(load(TEXTS[0])))])


def start():
    """Rows of words from potion, n-grams by ridge regression on those, and the map from the teacher to potion's space."""
    sample = [text for name in ("corpus", "wordnet-examples", "banking-train") for text in load(name)[::7]][:60_000]
    sampled = np.concatenate(
        [np.load(os.path.join(WORK, name + ".npy"))[::7] for name in ("corpus", "wordnet-examples", "banking-train")]
    )[:60_000].astype(np.float64)
    sums = unit(potion(sample))
    centre = sums.mean(0)
    strongest = np.linalg.eigh(np.cov(sums.T))[1][:, ::-1][:, :DIMENSIONS]

    def centred(vectors):
        return (vectors - np.linalg.norm(vectors, axis=1, keepdims=True) * 0.5 * centre) @ strongest

    mapped, target = unit(sampled - mean), unit((sums - centre) @ strongest)
    teacher_map = np.linalg.solve(mapped.T @ mapped + 10 * np.eye(TEACHER_DIMENSIONS), mapped.T @ target).T

    words = centred(potion(vocabulary["words"]))
    scale = START_LENGTH / np.median(np.linalg.norm(words, axis=1))
    words *= scale
    grams_of_words, grams_of_spellings = word_grams.matrix(GRAMS), spelling_grams.matrix(GRAMS)
    grams = torch.sparse.mm(grams_of_words.t(), grams_of_words) + torch.sparse.mm(
        grams_of_spellings.t(), grams_of_spellings
    )
    spellings = torch.from_numpy(centred(potion(load("spellings"))) * scale)
    wanted = torch.sparse.mm(grams_of_words.t(), torch.from_numpy(words)) + torch.sparse.mm(
        grams_of_spellings.t(), spellings
    )
    gram_rows = torch.linalg.solve(grams.to_dense() + 0.05 * torch.eye(GRAMS, dtype=torch.float64), wanted)
    own = torch.from_numpy(words) - torch.sparse.mm(grams_of_words, gram_rows)
    pairs = torch.from_numpy(rng.standard_normal((HASHED - WORDS, DIMENSIONS)) * 0.006)
    first = torch.zeros(1, DIMENSIONS, dtype=torch.float64)
    return torch.cat([own, pairs, gram_rows, first]).float(), torch.from_numpy(teacher_map).float()


table, teacher_map = (torch.nn.Parameter(value) for value in start())
held = table.detach().clone()
optimiser = torch.optim.Adam([{"params": [table]}, {"params": [teacher_map]}], lr=RATE, fused=True)


def bag(rows, weights, offsets, of):
    return F.embedding_bag(
        torch.from_numpy(rows.astype(np.int64)),
        of,
        torch.from_numpy(offsets),
        mode="sum",
        per_sample_weights=torch.from_numpy(weights.astype(np.float32)),
    )


def word_rows(words, dropped=0.0):
    """As they ship: own row, now and then left out, plus the mean of the n-grams."""
    rows, weights, offsets = word_grams.take(words, 200)
    own = table[torch.from_numpy(words)]
    if dropped > 0:
        own = own * (torch.rand(len(words), 1) >= dropped)
    return own + bag(rows + HASHED, weights, offsets, table)


def embed(rows, weights, offsets, dropped=DROPPED_WORDS, dropped_pairs=DROPPED_PAIRS):
    is_word = rows < WORDS
    words, places = np.unique(rows[is_word], return_inverse=True)
    moved = rows.astype(np.int64)
    moved[is_word] = places
    moved[~is_word] += len(words) - WORDS
    is_pair = (rows >= WORDS) & (rows < HASHED)
    weights = np.where(is_pair & (rng.random(len(rows)) < dropped_pairs), 0, weights)
    sums = bag(moved, weights, offsets, torch.cat([word_rows(words, dropped), table[WORDS:]]))
    return F.normalize(sums + table[COUNT - 1], dim=1), words


def contrast(vectors, same):
    itself = torch.eye(len(vectors), dtype=torch.bool)
    logits = (vectors @ vectors.T / TEMPERATURE).masked_fill(itself, -1e9)
    shares = logits - torch.logsumexp(logits, 1, keepdim=True)
    others = same & ~itself
    return -(shares * others).sum(1).div(others.sum(1)).mean()


def unlike(vectors, others, wanted):
    return ((vectors @ others.T - wanted) ** 2).mean()


def nearest(vectors, centroids):
    return ((centroids**2).sum(1) / 2 - vectors @ centroids.T).argmin(1)


def k_means(vectors, count, rounds=15):
    centroids = vectors[torch.randperm(len(vectors))[:count]].clone()
    for _ in range(rounds):
        chosen = nearest(vectors, centroids)
        sizes = torch.bincount(chosen, minlength=count)[:, None]
        sums = torch.zeros_like(centroids).index_add_(0, chosen, vectors)
        centroids = torch.where(sizes > 0, sums / sizes.clamp(min=1), centroids)
    return centroids


class Code:
    """Residual quantisation as in router/fingerprint.ts, with centroids that can be learnt."""

    def __init__(self, vectors):
        """Of the vectors of a sample of texts, with their shape."""
        self.mean = vectors.mean(0)
        rest = F.normalize(vectors - self.mean, dim=1)
        self.stages = []
        for count in [CELLS] + LEVELS * [BRANCHES]:
            centroids = k_means(rest, count)
            rest = rest - centroids[nearest(rest, centroids)]
            self.stages.append(torch.nn.Parameter(centroids))

    def loss(self, vectors):
        self.mean += (1 - CODE_MEAN_DECAY) * (vectors.detach().mean(0) - self.mean)
        vectors = F.normalize(vectors - self.mean, dim=1)
        fixed = vectors.detach()
        alike = fixed @ fixed.T
        shorter = int(rng.integers(3, len(self.stages) - 1))
        decoded, loss = 0, 0
        for stage, centroids in enumerate(self.stages, 1):
            chosen = nearest(fixed - (decoded.detach() if stage > 1 else 0), centroids.detach())
            decoded = decoded + centroids[chosen]
            weight = 1 if stage == len(self.stages) else SHORTER_CODE_WEIGHT
            if stage in (shorter, len(self.stages)):
                # What moves the text moves its code too.
                coded = F.normalize(decoded + vectors - fixed, dim=1)
                distance = ((vectors - decoded) ** 2).sum(1).mean()
                loss = loss + weight * (
                    CODE_WEIGHT * unlike(vectors, coded, alike) + CODE_DISTANCE_WEIGHT * distance
                )
        return loss


def with_shape(vectors, shapes):
    return F.normalize(torch.cat([vectors, torch.from_numpy(shapes)], 1), dim=1)


@torch.no_grad()
def sampled_vectors():
    parts = []
    for part in (asked, everyday):
        for chosen in np.array_split(rng.choice(part, SAMPLED_TEXTS // 2, replace=False), 16):
            vectors, _ = embed(*texts.take(chosen), dropped=0, dropped_pairs=0)
            parts.append(with_shape(vectors, texts.shapes[chosen]))
    return torch.cat(parts)


plain = int(BATCH * EVERYDAY)
code = None
for step in range(STEPS):
    if step == int(CODES_FROM * STEPS):
        code = Code(sampled_vectors())
        optimiser.add_param_group({"params": code.stages})
    decay = min(1, (step + 1) / WARM_UP_STEPS) * max(0.02, 1 - step / STEPS)
    for group, rate in zip(optimiser.param_groups, (RATE, MAP_RATE, CODE_RATE)):
        group["lr"] = rate * decay
    chosen = np.concatenate(
        [part[rng.integers(0, len(part), count)] for part, count in ((asked, BATCH - plain), (everyday, plain))]
    )
    rng.shuffle(chosen)
    typos = int(BATCH * MISSPELT)
    some = rng.choice(len(names), INTENTS_A_STEP, replace=False)
    with_intent = np.concatenate([rng.choice(members[intent], TEXTS_AN_INTENT, replace=False) for intent in some])
    vectors, words = embed(
        *joined([misspelt.take(chosen[:typos]), texts.take(chosen[typos:]), intent_texts.take(with_intent)])
    )
    taught = torch.from_numpy(np.concatenate([teacher[chosen], intent_teacher[with_intent]]))
    mapped = F.normalize(taught @ teacher_map.T, dim=1)

    paired = torch.randperm(len(vectors))[:PAIRED_TEXTS]
    alike = taught[paired] @ taught[paired].T
    other = torch.from_numpy(np.concatenate([potion_vectors[chosen], intent_potion[with_intent]]) - potion_centre)[paired]
    alike_to_both = (alike + POTION_LIKENESS * (other @ other.T)) / (1 + POTION_LIKENESS)
    wanted = torch.from_numpy(intents[with_intent])
    same = wanted[:, None] == wanted[None]
    moved = table[torch.from_numpy(words)] - held[torch.from_numpy(words)]
    angle = (1 - (vectors * mapped).sum(1)).mean()
    pairs = unlike(vectors[paired], vectors[paired], alike_to_both) + unlike(mapped[paired], mapped[paired], alike)
    contrasts = contrast(vectors[-len(same) :], same) + contrast(mapped[-len(same) :], same)
    loss = ANGLE_WEIGHT * angle + PAIRS_WEIGHT * pairs + INTENTS_WEIGHT * contrasts
    loss = loss + HOLD_WEIGHT * (moved**2).sum(1).mean()
    if code is not None:
        shapes = np.concatenate(
            [misspelt.shapes[chosen[:typos]], texts.shapes[chosen[typos:]], intent_texts.shapes[with_intent]]
        )
        loss = loss + code.loss(with_shape(vectors, shapes)[paired])
    optimiser.zero_grad(set_to_none=False)
    loss.backward()
    optimiser.step()
    if (step + 1) % 250 == 0:
        print(step + 1, f"angle {angle.item():.4f} pairs {pairs.item():.4f} intents {contrasts.item():.4f}", flush=True)

with torch.no_grad():
    shipped = table.detach().clone()
    shipped[:WORDS] = word_rows(np.arange(WORDS))
os.makedirs(OUT, exist_ok=True)
shipped.numpy().astype("<f4").tofile(os.path.join(OUT, "table.f32"))
with open(os.path.join(WORK, "hashes.u32"), "rb") as source, open(os.path.join(OUT, "hashes.u32"), "wb") as copy:
    copy.write(source.read())
with open(os.path.join(OUT, "table.json"), "w") as file:
    json.dump({"grams": GRAMS, "dimensions": DIMENSIONS}, file)
mean.astype("<f4").tofile(os.path.join(OUT, "mean.f32"))
teacher_map.detach().numpy().astype("<f4").tofile(os.path.join(OUT, "map.f32"))
