"""Sweeps and data that are made up here: random words with a fixed seed, tokenizers of a few lines, models with
random weights. Nothing is fetched. Starts nothing."""

import json
import random

WORDS = 400
LABELS = 3
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


class Maker:
    """Writes data into a folder and describes sweeps of it, at full size or as toys."""

    def __init__(self, folder, smoke):
        self.folder, self.smoke = folder, smoke
        self.length = 16 if smoke else 64
        write_wordpiece(folder / "words")
        write_bytes(folder / "bytes")

    def texts(self, name, lengths):
        """A file of rows with so many words each, whose words lean to their label."""
        pick = random.Random(name)

        def text(label, length):
            lean = range(label * WORDS // LABELS, (label + 1) * WORDS // LABELS)
            chosen = (pick.choice(lean) if pick.random() < 0.5 else pick.randrange(WORDS) for _ in range(length))
            return " ".join(f"w{word}" for word in chosen)

        lines = (f"{text(row % LABELS, length)},{row % LABELS}\n" for row, length in enumerate(lengths))
        (self.folder / f"{name}.csv").write_text("text,label\n" + "".join(lines), encoding="utf-8")
        return str(self.folder / f"{name}.csv")

    def running_text(self, name, tokens):
        """A file of as many tokens, its end included: each letter is one."""
        pick = random.Random(name)
        letters = "".join(pick.choice("abcdefgh ") for _ in range(tokens - 1))
        (self.folder / f"{name}.txt").write_text(letters, encoding="utf-8")
        return str(self.folder / f"{name}.txt")

    def bert(self, dropout=0, layers=2, hidden=None):
        hidden = hidden or (32 if self.smoke else 128)
        return dict(architecture="bert", layers=layers, hidden=hidden, heads=hidden // 16, intermediate=4 * hidden,
                    tokenizer=str(self.folder / "words"), hidden_dropout=dropout, attention_dropout=dropout)

    def gpt2(self, dropout=0):
        hidden = 32 if self.smoke else 128
        return dict(architecture="gpt2", layers=2, hidden=hidden, heads=hidden // 16, positions=256,
                    tokenizer=str(self.folder / "bytes"), hidden_dropout=dropout, attention_dropout=dropout)

    def of_texts(self, train, **others):
        return dict(kind="classification", train=train, text="text", label="label", **others)

    def smallest(self):
        """One adapter on a small model, for a few steps."""
        return dict(
            name="smallest", task=self.of_texts(self.texts("smallest", [8] * 64), max_length=16),
            models=dict(bert=self.bert()), grid=[dict(method="lora", model="bert", rank=4, learning_rate=1e-3)],
            split=dict(fraction=0.25), training=dict(epochs=1, batch_size=8))

    def encoder_laws(self):
        """Adapters of three ranks, two seeds and two folds, without dropout and with it everywhere, and all weights
        of a small model: 20 steps each."""
        batch_size = 4 if self.smoke else 16
        pick = random.Random(1)
        lengths = [pick.randint(3, self.length - 2) for _ in range(40 * batch_size)]
        lora = dict(method="lora", rank=[2, 5, 8], alpha=8, learning_rate=1e-3, seed=[1, 2])
        return dict(
            name="encoder-laws", task=self.of_texts(self.texts("laws", lengths), max_length=self.length),
            models=dict(plain=self.bert(), noisy=self.bert(0.1)),
            grid=[dict(lora, model="plain"), dict(lora, model="noisy", dropout=0.1),
                  dict(method="scratch", model="noisy", learning_rate=1e-4)],
            kfold=dict(k=2, seed=1), training=dict(epochs=1, batch_size=batch_size, warmup=0.1))

    def decoder_laws(self):
        """The same of a language model. Its gradients are small: with the usual epsilon, AdamW would scale the rounding
        of those next to 0 up to steps."""
        batch_size = 4
        text = self.running_text("language", 40 * batch_size * self.length)
        lora = dict(method="lora", rank=[2, 8], alpha=8, learning_rate=1e-3, seed=[1, 2])
        return dict(
            name="decoder-laws", task=dict(kind="language_modelling", train=text, max_length=self.length),
            models=dict(plain=self.gpt2(), noisy=self.gpt2(0.1)),
            grid=[dict(lora, model="plain"), dict(lora, model="noisy", dropout=0.1)],
            kfold=dict(k=2, seed=1), training=dict(epochs=1, batch_size=batch_size, epsilon=1e-6))

    def padding(self):
        """Rows of one word and of many in the same batch: an epoch is one step of all rows, in one batch or in batches
        of one row."""
        longest = 28 if self.smoke else 120
        lengths = [1 + longest * row * row // 225 for row in range(16)]
        task = self.of_texts(self.texts("unlike", lengths), validation=self.texts("others", lengths[::-1]),
                             max_length=longest + 8)
        return dict(
            name="padding", task=task, models=dict(bert=self.bert(), gpt2=self.gpt2()),
            grid=[dict(method="lora", model=["bert", "gpt2"], rank=4, learning_rate=1e-3, batch_size=[16, 1],
                       accumulation=[1, 16], zip=[["batch_size", "accumulation"]])],
            training=dict(epochs=20))

    def wide(self):
        """Adapters that are much larger than their model, of one batch and alike but for alpha: one pack."""
        hidden = 64 if self.smoke else 256
        task = self.of_texts(self.texts("wide", [14] * 32), validation=self.texts("wide-others", [14] * 8),
                             max_length=16)
        return dict(
            name="wide", task=task, models=dict(bert=self.bert(hidden=hidden)),
            grid=[dict(method="lora", model="bert", rank=4096 if self.smoke else 1024, targets="all-linear",
                       alpha=list(range(1, 9)), learning_rate=1e-4)],
            training=dict(epochs=1, batch_size=8))

    def long(self, rows):
        """One trial of all weights whose batch has so many rows: two steps."""
        task = self.of_texts(self.texts("long", [62] * (2 * rows)), validation=self.texts("long-others", [62] * 8),
                             max_length=64)
        return dict(
            name="long", task=task, models=dict(bert=self.bert(hidden=64 if self.smoke else 256)),
            grid=[dict(method="scratch", model="bert", learning_rate=1e-4)],
            training=dict(epochs=1, batch_size=rows))

    def steady(self, name="steady"):
        """A pack that trains for some seconds, on a GPU because of its many kernels."""
        rows = 960 if self.smoke else 9_600
        train, others = self.texts("steady", [self.length - 2] * rows), self.texts("steady-others", [14] * 64)
        task = self.of_texts(train, validation=others, max_length=self.length)
        return dict(
            name=name, task=task, models=dict(bert=self.bert(0.1, layers=2 if self.smoke else 12)),
            grid=[dict(method="lora", model="bert", rank=[2, 4, 6, 8], dropout=0.1, learning_rate=1e-4)],
            training=dict(epochs=1, batch_size=16))


def write_wordpiece(folder):
    folder.mkdir()
    words = SPECIAL + [f"w{number}" for number in range(WORDS)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")


def write_bytes(folder):
    """GPT-2's tokenizer without merges: a token for each byte, in the letters that it writes bytes with."""
    folder.mkdir()
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printed]
    letters = [chr(byte) for byte in printed] + [chr(256 + number) for number in range(len(others))]
    tokens = {letter: number for number, letter in enumerate([*letters, "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(tokens), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
