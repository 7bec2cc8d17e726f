"""Tokens: SentencePiece units within syllables."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from voicediff.errors import DataError
from voicediff.files import replacing
from voicediff.registry import register
from voicediff.text import hangul
from voicediff.text.lyrics import parse_line
from voicediff.text.pronunciation import Pronouncer, pronounce
from voicediff.text.tokenizers.base import PAD, SILENCE, Part, Role, Song, Tokenizer
from voicediff.text.tokenizers.jamo import held_letter, letters_of, roles_of


@register("tokenizer", "sentencepiece")
class SentencePieceTokenizer(Tokenizer):
    """Frequent groups of letters within a syllable, learned from the lyrics (Kudo & Richardson 2018).

    Args:
        vocabulary: maximum number of pieces.
        pronounced: convert lines to phonetic spelling first.
        pronouncer: `rules`, or `g2pk` (needs the package g2pk).
    """

    name = "sentencepiece"

    def __init__(
        self, vocabulary: int = 200, pronounced: bool = True, pronouncer: Pronouncer = "rules"
    ):
        self.vocabulary, self.pronounced, self.pronouncer = vocabulary, pronounced, pronouncer
        self.model = b""
        self.symbols = [PAD, SILENCE]

    def fit(self, lines: Iterable[str]) -> None:
        import sentencepiece

        counts: Counter[str] = Counter()
        for line in lines:
            text = _written(line)
            spoken = pronounce(text, self.pronouncer) if self.pronounced else text
            counts.update("".join(hangul.conjoining(c)) for c in spoken if hangul.is_syllable(c))
        if not counts:
            raise DataError("sentencepiece: no Hangul in the lyrics; give at least one line")
        letters = [letter for group in hangul.conjoining_letters() for letter in group]
        counts.update(letters)  # so that every Korean syllable can be encoded
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(counts.elements()),
                model_writer=model,
                model_type="bpe",
                vocab_size=max(self.vocabulary, len(letters) + 3),
                hard_vocab_limit=False,
                character_coverage=1.0,
                normalization_rule_name="identity",
                add_dummy_prefix=False,
                bos_id=-1,
                eos_id=-1,
                num_threads=1,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise DataError(f"sentencepiece: cannot learn from these lyrics: {error}") from error
        self._use(model.getvalue())

    def save(self, folder: str | Path) -> None:
        super().save(folder)
        with replacing(Path(folder) / "sentencepiece.model") as file:
            file.write(self.model)

    def load(self, folder: str | Path) -> None:
        path = Path(folder) / "sentencepiece.model"
        try:
            self._use(path.read_bytes())
        except (OSError, RuntimeError, TypeError) as error:
            raise DataError(f"{path}: no sentencepiece model ({error}); fit it again") from error
        super().load(folder)

    def spell(self, score: Song) -> dict[int, list[Part]]:
        spelled = {}
        for index, letters in letters_of(score, self).items():
            following = index + 1 < len(score.notes) and score.notes[index + 1].slur
            spelled[index] = roles_of(letters) if following else self._pieces("".join(letters))
        return spelled

    def hold(self, symbol: str) -> str:
        return held_letter(symbol)

    def _pieces(self, syllable: str) -> list[Part]:
        if not self.model:
            raise DataError("sentencepiece: not fitted; fit it to lyrics or load a model")
        vowels = set(hangul.conjoining_letters()[1])
        parts: list[Part] = []
        role: Role = "onset"
        for piece in self.processor.encode(syllable, out_type=str):
            if vowels & set(piece):
                parts.append(("nucleus", piece))
                role = "coda"
            else:
                parts.append((role, piece))
        return parts

    def _use(self, model: bytes) -> None:
        import sentencepiece

        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.model = model
        pieces = [self.processor.id_to_piece(i) for i in range(self.processor.vocab_size())]
        self.symbols = [PAD, SILENCE, *pieces]


def _written(line: str) -> str:
    """A raw lyric line as Hangul words."""
    sung = [item for item in parse_line(line) if not item.slur]
    return "".join((" " if item.word else "") + item.text for item in sung).strip()
