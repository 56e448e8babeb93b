#!/usr/bin/env python3
"""Write tokens.json: tricky texts and the ids the `tokenizers` package gives.

    python3 -m venv venv && venv/bin/pip install tokenizers==0.23.3
    venv/bin/python make_tokens.py build/deps/minilm/tokenizer.json

The package is the reference for tokenizer_test.cpp; the tests themselves need
only the committed file.
"""

import json
import pathlib
import sys

import tokenizers

TEXTS = [
    # Plain.
    "",
    " ",
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog.",
    "how do wooden joints stay together?",
    "unaffable embeddings tokenization antidisestablishmentarianism",
    "HELLO World hElLo",
    "3.14159 1,000,000 2024-11-22 50% $9.99 #1 a+b=c x^2 <tag> `code` ~tilde |pipe|",
    "don't can't it's o'clock rock'n'roll",
    "e-mail: someone@example.com, https://example.com/path?x=1&y=2",
    "snake_case camelCase kebab-case dotted.name.here",
    "!!!???...;;;:::",
    "\"quoted\" 'single' (round) [square] {curly}",
    # White space and control characters.
    "tabs\tand\nnew\r\nlines  and   runs",
    "no\u00a0break\u2003em\u3000ideographic\u2028line\u2029para\u1680ogham\u205fmath",
    "\u0085next\u000bvertical\u000cform",
    "zero\u200bwidth\u200cnon\u200djoiner\ufeffbom\u2060word\u00adsoft",
    "nul\u0000bell\u0007esc\u001b[0m del\u007f c1\u0080\u009f",
    "replace\ufffdment",
    "private\ue000use unassigned\u0378here tag\U000e0041",
    "\u202eright to left\u202c marks\u200e\u200f",
    # Accents and case.
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \u00dcber fa\u00e7ade r\u00e9sum\u00e9 pi\u00f1ata",
    "cafe\u0301 decomposed A\u030angstro\u0308m",
    "\u0130stanbul \u0131\u015f\u0131k \u1e9e stra\u00dfe",
    "\u039f\u0394\u039f\u03a3 \u03a3\u0391\u03a3 \u03ac\u03ad\u03ae\u03af \u1f80",
    "\u041c\u043e\u0441\u043a\u0432\u0430 \u0419\u043e\u0434 \u0451\u043b\u043a\u0430",
    "\ufb01ne \ufb02ow \u0132 \u01c4 \u1e69 \u1e0b\u0323",
    "\u212a Kelvin \u212b \u2126 \u210c",
    "Vi\u1ec7t Nam ti\u1ebfng Vi\u1ec7t \u0111\u1eddi",
    "Z\u0351\u036b\u0343\u036aA\u0321\u034aL\u0315\u0317G\u0334O\u0321",
    "\u0967\u0968\u0969 \u0928\u092e\u0938\u094d\u0924\u0947 \u0939\u093f\u0928\u094d\u0926\u0940",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0bb5\u0ba3\u0b95\u0bcd\u0b95\u0bae\u0bcd",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645 \u0627\u064e\u0644\u0652\u062d\u064e\u0645\u0652\u062f\u064f",
    "\u05e9\u05dc\u05d5\u05dd \u05e9\u05b8\u05dc\u05d5\u05b9\u05dd",
    "\u10d2\u10d0\u10db\u10d0\u10e0\u10ef\u10dd\u10d1\u10d0 \u1c92\u1c90 \u0531\u0580\u0574\u0565\u0576",
    # East Asian text.
    "\u4f60\u597d\u4e16\u754c mixed\u6f22\u5b57with latin",
    "\u65e5\u672c\u8a9e\u3072\u3089\u304c\u306a\u30ab\u30bf\u30ab\u30ca \u304c\u3099 \u30d7\u30ed",
    "\uff8a\uff9f half \uff21\uff22\uff23 full \uff01\uff1f",
    "\ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8 \uac01",
    "\U00020000\U0002a6d6\U0002a700\U0002b740\U0002b820\U0002ceb0\U0002f800\uf900 \u3400",
    "\u3001\u3002\u300c\u300d\u30fb\u301c",
    # Punctuation and symbols beyond ASCII.
    "\u2018single\u2019 \u201cdouble\u201d \u2013 en \u2014 em \u2026 \u00ab guill \u00bb \u00bfqu\u00e9? \u00a1s\u00ed!",
    "\u20ac5 \u00a33 \u00a52 \u00a9 \u00ae \u2122 \u00b0C \u00b1 \u00d7 \u00f7 \u221e \u2260 \u2264 \u03c0r\u00b2 \u00bd \u2153 x\u2082",
    "\u2190\u2191\u2192 \u25a0\u25cf\u2605 \u2713\u2717 \u266a",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \u2764\ufe0f \U0001f1e9\U0001f1ea",
    "\u00b7 \u2022 \u203b \u2030 \u2020\u2021 \u00a7 \u00b6",
    "\U0001d400\U0001d401 \U0001f130 \u2460 \u24b6",
    # Special tokens and their near misses.
    "[CLS] inside [SEP] the [MASK] text [PAD] [UNK]",
    "[cls] [Mask] [MASK [ MASK ] ##ing ##",
    "a[MASK]b[MASK][SEP]c",
    # Length limits.
    "a" * 100,
    "a" * 101,
    "\u00e9" * 100 + " " + "\u00e9" * 101,
    "\u4e2d" * 120,
    "x" * 99 + "-" + "y" * 101,
    " ".join(["word"] * 300),
    "supercalifragilisticexpialidocious" * 2,
    "qqqqxzzzkj \u2603nowman \u0ca0_\u0ca0 \u16a0\u16a2",
]


def main():
    tokenizer = tokenizers.Tokenizer.from_file(sys.argv[1])
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=256)
    rows = [{"text": text, "ids": tokenizer.encode(text).ids} for text in TEXTS]
    lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
    out = pathlib.Path(__file__).with_name("tokens.json")
    out.write_text(f"[\n{lines}\n]\n", encoding="ascii")
    print(f"{out}: {len(rows)} texts, {sum(len(row['ids']) for row in rows)} ids")


if __name__ == "__main__":
    main()
