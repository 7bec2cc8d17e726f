"""Mini LRS3: talking faces in LRS3's layout, drawn and spoken by rule from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from voicediff.corpora.lrs3.people import Person, person
from voicediff.corpora.lrs3.scene import Scene, Window, draw_frame, mouth_boxes, scene
from voicediff.corpora.lrs3.sentences import SPLITS, sentence
from voicediff.corpora.lrs3.speech import SAMPLE_RATE, Phone, Speech, speak
from voicediff.corpora.lrs3.visemes import Articulation, lip_motion
from voicediff.diffusion.noise import item_seed
from voicediff.errors import ConfigError

FPS = 25
HOP = SAMPLE_RATE // FPS
_SHARE = {"pretrain": 0.84, "trainval": 0.06, "test": 0.10}  # of the minutes
_PEOPLE = {"pretrain": 0.7, "trainval": 0.1, "test": 0.2}  # of the speakers
_SECONDS = 3.5  # of one clip, on average; each is a sentence, without pauses that would be easy
_SHORTEST = 54  # frames: 2.04 s and a little room to cut
_MOST_CLIPS = 10**5


@dataclass(frozen=True)
class ClipPlan:
    """One clip before it is made: everything follows from these and the corpus' seed."""

    split: str
    speaker: int
    number: int
    seed: int

    @property
    def path(self) -> str:
        """Folder and name without suffix, e.g. "test/spk0060/00002"."""
        return f"{self.split}/spk{self.speaker:04d}/{self.number:05d}"


@dataclass(frozen=True)
class MiniClip:
    """One clip: T frames of a scene and (T * 640,) float32 of sound at 16 kHz.

    Attributes:
        text: what is said.
        words: when each word is said, seconds.
        boxes: (T, 4) box around the mouth in the 224 x 224 frame: left, top, width, height.
    """

    plan: ClipPlan
    person: Person
    text: str
    words: tuple[Phone, ...]
    phones: tuple[Phone, ...]
    sound: np.ndarray
    scene: Scene
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.scene)

    def frames(self) -> np.ndarray:
        """The pictures, (T, 224, 224, 3) uint8 RGB."""
        return np.stack([draw_frame(self.scene, k) for k in range(len(self))])

    def mouths(self, size: int) -> np.ndarray:
        """The mouth boxes alone, (T, size, size) uint8 grey: as cut from `frames`, but quicker."""
        crops = np.empty((len(self), size, size), np.uint8)
        for index, (left, top, side, _) in enumerate(self.boxes):
            # no finer than the frame is, whatever the size
            window = Window(float(left), float(top), float(side), round(float(side)))
            drawn = draw_frame(self.scene, index, window, grey=True)
            crops[index] = cv2.resize(drawn, (size, size), interpolation=cv2.INTER_LINEAR)
        return crops


def plan(minutes: float = 30.0, seed: int = 0, speakers: int | None = None) -> list[ClipPlan]:
    """All clips of a corpus of about `minutes`; no speaker is in two splits.

    Without `speakers` there are 120 for 30 minutes, fewer below and more above; at least 8, so that
    each split has a man and a woman with two clips each.
    """
    if not 0 < minutes < 60 * 10**4:
        raise ConfigError(f"minutes: must be above 0, found {minutes:g}")
    if speakers is None:
        speakers = round(120 * min(1.0, minutes / 30) + max(0.0, (minutes - 30) / 2))
    counts = _speakers_by_split(max(speakers, 8))
    clips, first = [], 0
    for split, people in counts.items():
        each, more = divmod(round(60 * minutes * _SHARE[split] / _SECONDS), people)
        for speaker in range(first, first + people):
            count = int(np.clip(each + (speaker - first < more), 2, _MOST_CLIPS))
            clips += [ClipPlan(split, speaker, number, seed) for number in range(count)]
        first += people
    return clips


def make_clip(plan: ClipPlan) -> MiniClip:
    """Speak and stage one clip (its pictures are drawn when asked for)."""
    draw = np.random.default_rng(item_seed("clip", plan.seed, plan.path))
    who = person(plan.speaker, plan.seed)
    text, speech = _spoken(plan, who, draw)
    frames = len(speech.sound) // HOP
    sound = speech.sound[: frames * HOP] * np.float32(10 ** (draw.uniform(-9, 0) / 20))
    lips = lip_motion(speech.phones, frames, _articulation(who, draw), draw)
    loud = np.sqrt(np.square(sound.reshape(frames, HOP)).mean(1))
    staged = scene(who.look, lips, loud, draw)
    return MiniClip(
        plan, who, text, speech.words, speech.phones, sound, staged, mouth_boxes(staged)
    )


def _speakers_by_split(speakers: int) -> dict[str, int]:
    """At least two in each split, an even number outside pretrain: as many men as women."""
    counts = {split: max(2, 2 * round(_PEOPLE[split] * speakers / 2)) for split in SPLITS}
    counts["pretrain"] = speakers - counts["trainval"] - counts["test"]
    return counts


def _spoken(plan: ClipPlan, who: Person, draw: np.random.Generator) -> tuple[str, Speech]:
    """A text and its sound, in the speaker's voice of the day: pitch and rate vary a little."""
    voice = replace(
        who.voice,
        pitch=who.voice.pitch + draw.uniform(-5, 5),
        range=who.voice.range + draw.uniform(-8, 8),
        rate=who.voice.rate * draw.uniform(0.93, 1.07),
    )
    texts = [sentence(plan.split, draw)]
    while True:
        text = " ".join(texts)
        speech = speak(text, voice)
        if len(speech.sound) >= _SHORTEST * HOP:
            return text, speech
        texts.append(sentence(plan.split, draw))


def _articulation(who: Person, draw: np.random.Generator) -> Articulation:
    """Synchrony as in good recordings: a part of a frame always, a whole frame in one clip of ten."""
    slip = draw.choice([-1, 0, 1], p=[0.05, 0.9, 0.05]) / FPS
    return Articulation(
        gain=who.articulation * draw.uniform(0.9, 1.1),
        offset=slip + draw.uniform(-0.3, 0.3) / FPS,
        jitter=0.01,
        lead=draw.uniform(0.02, 0.09),
        spread=0.15,
    )
