"""Mini LRS3 on disk: the folders of LRS3 with mp4 and txt, or prepared crops instead of mp4."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from voicediff.corpora.lrs3.corpus import FPS, ClipPlan, MiniClip, make_clip
from voicediff.corpora.lrs3.scene import draw_frame
from voicediff.corpora.lrs3.speech import SAMPLE_RATE
from voicediff.data.separation.clips import Clip, as_int16, write_clip
from voicediff.files import write_json, write_text
from voicediff.video.constants import MOUTH

SIDECAR = ".boxes.json"


def write_planned(root: str | Path, plan: ClipPlan, video: bool) -> int:
    """Generate one clip below `root` and return its number of frames; 0 if it exists already.

    With `video` it is `<clip>.mp4`, else `<clip>.npz` with the crops drawn directly (ten times
    faster); also `<clip>.txt` as in LRS3 and `<clip>.boxes.json` with the mouth boxes.
    """
    base = Path(root) / plan.path
    target = base.with_suffix(".mp4" if video else ".npz")
    if target.exists():
        return 0
    clip = make_clip(plan)
    write_text(base.with_suffix(".txt"), transcript(clip))
    write_json(base.with_suffix(SIDECAR), sidecar(clip))
    if video:
        write_video(target, clip)
    else:
        write_clip(target, features(clip))
    return len(clip)


def features(clip: MiniClip) -> Clip:
    """The clip as stage 2 would extract it from the video, without coding and decoding it."""
    face = draw_frame(clip.scene, len(clip) // 2)
    valid = np.ones(len(clip), bool)
    return Clip(as_int16(clip.sound), clip.mouths(MOUTH), valid, face)


def sidecar(clip: MiniClip) -> dict:
    """Exact mouth boxes (left, top, width, height) by frame."""
    return {"fps": FPS, "mouth": [[round(float(v), 2) for v in box] for box in clip.boxes]}


def transcript(clip: MiniClip) -> str:
    """LRS3's text file: the sentence in capitals, and in the pretrain split the times of the words."""
    letters = "".join(c for c in clip.text.upper() if c.isalnum() or c in " '")
    lines = [f"Text:  {letters}", "Conf:  5"]
    if clip.plan.split == "pretrain":
        lines += ["", "WORD START END ASDSCORE"]
        for word in clip.words:
            name = "".join(c for c in word.name.upper() if c.isalnum() or c == "'")
            lines.append(f"{name} {word.start:.2f} {word.end:.2f} 5.0")
    return "\n".join(lines) + "\n"


def write_video(path: str | Path, clip: MiniClip) -> None:
    """H.264 at 25 fps and AAC at 16 kHz in an mp4, written atomically; the bytes are repeatable."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part.mp4")
    try:
        with av.open(str(part), "w") as container:
            _encode(container, clip)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _encode(container: av.container.OutputContainer, clip: MiniClip) -> None:
    picture = container.add_stream("libx264", rate=FPS)
    picture.width = picture.height = 224
    picture.pix_fmt = "yuv420p"
    # with macroblock-tree rate control the bytes differed from run to run
    picture.options = {"crf": "20", "preset": "superfast", "threads": "1"}
    sound = container.add_stream("aac", rate=SAMPLE_RATE)
    sound.bit_rate = 64000
    sound.layout = "mono"
    for index in range(len(clip)):
        frame = av.VideoFrame.from_ndarray(draw_frame(clip.scene, index), format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        container.mux(picture.encode(frame))
    container.mux(picture.encode())
    samples = av.AudioFrame.from_ndarray(clip.sound[None], format="fltp", layout="mono")
    samples.sample_rate, samples.pts, samples.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
    container.mux(sound.encode(samples))
    container.mux(sound.encode())
