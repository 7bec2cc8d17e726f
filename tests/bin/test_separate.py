"""`voicediff separate` and `Separator`, with a small model with random weights."""

# ruff: noqa: E402
import json
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("espeakng_loader")

from face_detectors import HAS_CASCADE, DrawnFaces, haar
from real_data import GRID, needs_grid

import voicediff
from voicediff import experiment
from voicediff.audio import read_wav, write_wav
from voicediff.bin.main import main
from voicediff.corpora.lrs3 import make_clip, plan
from voicediff.corpora.lrs3.interview import Guest, Interview, write_interview
from voicediff.corpora.lrs3.scene import draw_frame
from voicediff.errors import ConfigError
from voicediff.experiment import read_config
from voicediff.video import footage
from voicediff.video import reading as video
from voicediff.video.faces import HaarFaces
from voicediff.video.people import people_of
from voicediff.video.reading import read_recording

CASCADE = HaarFaces.__call__
ROOT = Path(__file__).parents[2]
TINY = """
task:
  name: avss
  stft: {n_fft: 126, hop: 64}
  encoders: {lips: {name: lip_stacks, dim: 8, channels: [4, 4], layers: 1}ENCODERS}
  predictor: {name: ncsnpp, channels: 8, multipliers: [1, 2], blocks: 1, attention: []}
  predictor_conditions: [SEES]
  decoder: {name: ncsnpp, channels: 8, multipliers: [1, 2], blocks: 1, attention: []}
  decoder_conditions: [mixture, SEES]
  sde: {name: bridge}
  objective: {name: data}
sampler: {name: euler, steps: 1}
"""
FACE = ", identity: {name: face_resnet18, dim: 6, width: 4, norm: group}"


def made(folder, text):
    path = folder / "conf.yaml"
    path.write_text(text)
    config = read_config(path)
    task = config.build_task()
    for parameter in task.parameters():
        if not parameter.any():  # zero layers would hide what is under test
            torch.nn.init.normal_(parameter, std=0.1)
    weights = task.state_dict()
    experiment.create(folder, config, None)
    experiment.write_weights(folder / "last.safetensors", weights, weights, 1, folder / "assets")
    return folder


@pytest.fixture(autouse=True)
def detector(monkeypatch, request):
    if not HAS_CASCADE and "real" not in request.node.name:
        monkeypatch.setattr(HaarFaces, "__call__", DrawnFaces.__call__)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    text = TINY.replace("ENCODERS", "").replace("SEES", "lips")
    return made(tmp_path_factory.mktemp("exp"), text)


@pytest.fixture(scope="module")
def clips():
    test = [p for p in plan(30.0, seed=1) if p.split == "test" and p.number == 0]
    return [make_clip(p) for p in test[:2]]


@pytest.fixture(scope="module")
def interview(clips):
    """The second guest comes later."""
    return Interview((Guest(clips[0], 0, (5, 10)), Guest(clips[1], 14, (215, 10))), 50, (420, 220))


@pytest.fixture(scope="module")
def alone(clips):
    return Interview((Guest(clips[0], 0, (5, 5)),), 25, (210, 210))


@pytest.fixture(scope="module")
def videos(tmp_path_factory, interview, alone):
    folder = tmp_path_factory.mktemp("videos")
    write_interview(folder / "two.mp4", interview)
    write_interview(folder / "one.mp4", alone)
    write_interview(folder / "silent.mp4", alone, sound=False)
    write_interview(folder / "two.mkv", interview)
    nobody = Interview((Guest(alone.guests[0].clip, 0, (500, 5)),), 25, (210, 210))
    write_interview(folder / "empty.mp4", nobody)
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.09, 20))
    write_interview(folder / "uneven.mkv", alone, times=times - times[0])
    write_interview(folder / "stereo.mp4", alone, rate=44100, channels=2)
    return folder


def separate(video, model, out, *options):
    return main(["separate", str(video), "--model", str(model), "-o", str(out), *options])


def result(out):
    return json.loads((out / "people.json").read_text(encoding="utf-8"))


def samples(path):
    with av.open(str(path)) as container:
        return sum(f.samples for f in container.decode(audio=0))


def test_everybody_gets_a_track_a_video_and_an_entry(videos, model, tmp_path, capsys, interview):
    assert separate(videos / "two.mp4", model, tmp_path / "out", "--residual") == 0
    found = result(tmp_path / "out")
    assert [p["name"] for p in found["people"]] == ["person1", "person2"]
    for person, guest in zip(found["people"], interview.guests, strict=True):
        sound, rate = read_wav(tmp_path / "out" / person["wav"])
        # AAC pads the sound; the track is as long as the decoded file
        assert rate == 16000 and len(sound) == samples(videos / "two.mp4")
        assert abs(person["first_seen"] - guest.enters / 25) <= 0.04
        assert person["last_seen"] == pytest.approx(2.0, abs=0.041) and person["gaps"] == []
        assert not sound[: max(0, guest.enters * 640 - 640)].any() and sound.any()
        assert 0 <= person["confidence"] <= 1 and len(person["confidences"]) == 1
        middle = np.array(person["boxes"][30][:2]) + np.array(person["boxes"][30][2:]) / 2
        assert np.abs(middle - np.array(guest.place) - (100, 96)).max() < 20
        framed = read_recording(tmp_path / "out" / person["video"])
        assert framed.frames.shape == (50, 220, 420, 3)
        heard = np.corrcoef(framed.audio, np.pad(sound, (0, 640))[: len(framed.audio)])[0, 1]
        assert heard > 0.9
    tracks = [
        read_wav(tmp_path / "out" / f"{n}.wav")[0] for n in ("person1", "person2", "residual")
    ]
    assert "visible 0.00-2.00 s, confidence" in capsys.readouterr().out
    mixture = read_recording(videos / "two.mp4").audio
    gain = (sum(tracks)[: len(mixture)] @ mixture) / (mixture @ mixture)
    np.testing.assert_allclose(sum(tracks)[: len(mixture)], gain * mixture, atol=1e-3)


def test_a_talk_has_people_that_show_and_save_themselves(videos, model, tmp_path):
    separator = voicediff.load(model, device="cpu")
    talk = separator.separate(videos / "two.mp4", samples=1, seed=3)
    assert isinstance(talk, voicediff.Talk) and "person1, person2" in repr(talk)
    first, second = talk.people
    assert first.audio.shape == (len(talk.residual),) and first.audio.dtype == np.float32
    assert (
        first.boxes.shape == (50, 4) and not second.visible[:12].any() and second.visible[20:].all()
    )
    assert second.spans[0] == pytest.approx((0.56, 2.0), abs=0.041) and 0 <= first.confidence <= 1
    mixture = read_recording(videos / "two.mp4").audio
    total = first.audio + second.audio + talk.residual[:]
    np.testing.assert_allclose(total[: len(mixture)], mixture, atol=1e-4)
    assert talk._repr_html_().count("<audio") == 2
    talk.save(tmp_path / "a", video=False)
    options = ("--no-video", "--samples", "1", "--seed", "3")
    assert separate(videos / "two.mp4", model, tmp_path / "b", *options) == 0
    for name in ("person1.wav", "person2.wav", "people.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with pytest.raises(ConfigError, match="people: expected 1 or more, found 0"):
        separator.separate(videos / "two.mp4", people=0)


def test_ambiguous_tracks_are_mixed_unless_the_threshold_is_zero(videos, model, tmp_path):
    """One face given twice: the two tracks are ambiguous, so each contains all of both."""
    quick = ("--no-video", "--nfe", "0")
    assert separate(videos / "one.mp4", model, tmp_path / "a", *quick) == 0
    (person,) = result(tmp_path / "a")["people"]
    twice = [{**person, "name": name} for name in ("left", "right")]
    (tmp_path / "boxes.json").write_text(json.dumps({"people": twice}))
    given = ("--boxes", str(tmp_path / "boxes.json"))

    def left(*options):
        out = tmp_path / "out"
        assert separate(videos / "one.mp4", model, out, *quick, *given, *options) == 0
        return read_wav(out / "left.wav")[0]

    mixture = read_recording(videos / "one.mp4").audio
    kept, doubted = left("--ambiguity-threshold", "0"), left("--ambiguity-threshold", "1")

    def unlike(track):
        gain = track[: len(mixture)] @ mixture / (mixture @ mixture)
        return np.square(track[: len(mixture)] - gain * mixture).sum()

    assert unlike(doubted) < 1e-3 * unlike(kept)


def test_the_person_is_framed_in_the_video(videos, model, tmp_path):
    assert separate(videos / "one.mp4", model, tmp_path / "out") == 0
    plain, framed = (
        read_recording(p).frames[12].astype(int)
        for p in (videos / "one.mp4", tmp_path / "out" / "person1.mp4")
    )
    left, top, width, height = map(round, result(tmp_path / "out")["people"][0]["boxes"][12])
    changed = np.abs(framed - plain)[top + 4 : top + height - 4].mean((0, 2))
    edge, inside = changed[left - 1 : left + 2].max(), changed[left + 5 : left + width - 5].mean()
    assert edge > 10 * inside


def test_people_json_can_be_used_as_boxes_with_names(videos, model, tmp_path):
    quick = ("--no-video", "--nfe", "0")
    assert separate(videos / "one.mp4", model, tmp_path / "a", *quick) == 0
    content = result(tmp_path / "a")
    content["people"][0]["name"] = "Anna B/1"
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    given = ("--boxes", str(tmp_path / "boxes.json"))
    assert separate(videos / "one.mp4", model, tmp_path / "b", *quick, *given) == 0
    again = result(tmp_path / "b")["people"][0]
    assert again["name"] == "Anna_B_1"
    assert again["boxes"][:25] == content["people"][0]["boxes"]
    assert not any(again["boxes"][25:])  # sound that goes on
    assert again["confidence"] is None  # the predictor draws nothing
    one, two = (read_wav(tmp_path / n)[0] for n in ("a/person1.wav", "b/Anna_B_1.wav"))
    np.testing.assert_allclose(one, two, atol=1e-2)  # boxes are rounded


def test_a_part_has_the_times_of_the_whole(videos, model, tmp_path, interview):
    options = ("--no-video", "--start", "0.2", "--end", "1.6")
    assert separate(videos / "two.mp4", model, tmp_path / "out", *options) == 0
    found = result(tmp_path / "out")
    assert found["seconds"] == 1.4 and found["start"] == 0.2
    assert [p["first_seen"] for p in found["people"]] == pytest.approx([0.2, 0.56], abs=0.041)
    assert [p["last_seen"] for p in found["people"]] == pytest.approx([1.6, 1.6], abs=0.041)


@pytest.mark.parametrize("name", ["uneven.mkv", "stereo.mp4"])
def test_uneven_frames_and_stereo_at_44100_hz_are_accepted(videos, model, tmp_path, name, alone):
    assert separate(videos / name, model, tmp_path / "out", "--no-video", "--nfe", "0") == 0
    (person,) = result(tmp_path / "out")["people"]
    sound, rate = read_wav(tmp_path / "out" / "person1.wav")
    assert person["first_seen"] == 0.0 and rate == 16000
    assert len(sound) == pytest.approx(16000, abs=1100)
    wanted = alone.mouths()[0, 12, :2] + alone.mouths()[0, 12, 2:] / 2
    left, top, width, height = person["boxes"][12]
    assert np.abs(wanted - (left + width / 2, top + 0.8 * height)).max() < 0.12 * width


def test_speakers_that_the_model_cannot_tell_apart_are_warned_of(videos, model, tmp_path, capsys):
    """Two faces of one person: the same picture twice."""
    boxes = {"people": [{"name": n, "boxes": [[50, 40, 110, 110]] * 25} for n in ("a", "b")]}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    options = ("--no-video", "--nfe", "0", "--boxes", str(tmp_path / "boxes.json"))
    assert separate(videos / "one.mp4", model, tmp_path / "out", *options) == 0
    assert "a and b have nearly the same track" in capsys.readouterr().err
    (same,) = result(tmp_path / "out")["same_voice"]
    assert same["names"] == ["a", "b"] and same["si_sdr"] > 5


def test_a_rarely_detected_face_is_warned_of(videos, model, tmp_path, capsys, monkeypatch):
    def hardly(*seen):
        people = people_of(*seen)
        people[1].detection_rate = 0.36
        return people

    monkeypatch.setattr("voicediff.inference.speakers.people_of", hardly)
    assert separate(videos / "two.mp4", model, tmp_path / "out", "--no-video") == 0
    message = capsys.readouterr().err
    assert "person2: the face was detected in 36% of the examined frames" in message
    assert "person1: the face" not in message


def test_sound_with_pictures_of_faces(model, clips, tmp_path, capsys):
    write_wav(tmp_path / "talk.wav", clips[0].sound[:24000], 16000)
    for name, clip in zip(("anna", "ben"), clips, strict=True):
        cv2.imwrite(str(tmp_path / f"{name}.png"), draw_frame(clip.scene, 5)[..., ::-1])
    faces = ("--face", str(tmp_path / "anna.png"), "--face", str(tmp_path / "ben.png"))
    assert separate(tmp_path / "talk.wav", model, tmp_path / "out", *faces) == 0
    assert "no identity encoder: pictures cannot tell speakers apart" in capsys.readouterr().err
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"anna.wav", "ben.wav", "people.json"}
    text = TINY.replace("ENCODERS", FACE).replace("SEES", "lips, identity")
    (tmp_path / "knows").mkdir()
    knows = made(tmp_path / "knows", text)
    assert separate(tmp_path / "talk.wav", knows, tmp_path / "out", *faces) == 0
    assert "identity encoder" not in capsys.readouterr().err
    one, two = (read_wav(tmp_path / "out" / f"{n}.wav")[0] for n in ("anna", "ben"))
    assert len(one) == len(two) == 24000 and np.abs(one - two).max() > 1e-4


def broken(folder, videos):
    """Unusable files and their messages."""
    (folder / "notes.mp4").write_text("not a video at all\n" * 50)
    (folder / "zero.mp4").write_bytes(b"")
    whole = (videos / "one.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    write_wav(folder / "talk.wav", np.zeros(8000, np.float32), 16000)
    return {
        folder / "none.mp4": "no such file",
        folder / "notes.mp4": "not a readable video or sound file",
        folder / "zero.mp4": "not a readable video or sound file",
        folder / "cut.mp4": "it may be truncated",
        folder / "talk.wav": "has no pictures; give a picture of each speaker with --face PICTURE",
        videos / "silent.mp4": "has no sound",
        videos / "empty.mp4": "no face is visible",
    }


def test_unusable_files_are_one_line_and_nothing_is_written(videos, model, tmp_path, capsys):
    for path, message in broken(tmp_path, videos).items():
        assert separate(path, model, tmp_path / "out") == 2
        error = capsys.readouterr().err
        line = error.replace("\r", "\n").strip().splitlines()[-1]
        assert line.startswith("voicediff separate: ") and message in line and path.name in line
        assert not list(tmp_path.glob("*out*"))


def test_a_video_without_a_second_of_sound_is_zero_seconds_long(videos, model, tmp_path, capsys):
    assert separate(videos / "one.mp4", model, tmp_path / "out", "--start", "60") == 2
    assert "(0 s)" in capsys.readouterr().err


def test_the_rest_of_a_truncated_file_is_separated_with_a_warning(videos, model, tmp_path, capsys):
    whole = (videos / "two.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: int(0.6 * len(whole))])
    options = ("--no-video", "--nfe", "0")
    assert separate(tmp_path / "cut.mkv", model, tmp_path / "out", *options) == 0
    error = capsys.readouterr().err
    assert "cut.mkv: truncated: 2.0" in error and "the rest was separated" in error
    assert result(tmp_path / "out")["warnings"]
    assert 0.8 < result(tmp_path / "out")["seconds"] < 1.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--people", "0"], "people: expected 1 or more, found 0"),
        (["--nfe", "-1"], "expected 0 or more"),
        (["--nfe", "0", "--samples", "3"], "the predictor's estimate is always the same"),
        (["--ambiguity-threshold", "2"], "ambiguity-threshold: expected a share from 0 to 1"),
        (["--start", "2", "--end", "1"], "nothing lies between"),
        (["--yunet", "none.onnx"], "no such file"),
        (["--sampler", "eulr"], "did you mean"),
        (["--boxes", "none.json"], "not a file of boxes"),
        (["--face", "none.png"], "not a picture that can be read"),
    ],
)
def test_mistaken_options_are_one_line(videos, model, tmp_path, capsys, options, message):
    assert separate(videos / "one.mp4", model, tmp_path / "out", *options) == 2
    assert message in capsys.readouterr().err.lower().replace("`", "")
    assert not (tmp_path / "out").exists()


def test_without_a_detector_nothing_is_separated(videos, model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(HaarFaces, "__call__", CASCADE)
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    assert separate(videos / "one.mp4", model, tmp_path / "out") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "voicediff separate:" in line]
    assert len(lines) == 1 and "has no Haar cascade" in lines[0]
    assert not (tmp_path / "out").exists()


def test_a_model_of_another_task_separates_nothing(videos, tmp_path, capsys):
    (tmp_path / "exp").mkdir()
    text = (ROOT / "egs/csd/svs/conf/train_smoke.yaml").read_text(encoding="utf-8")
    assert separate(videos / "one.mp4", made(tmp_path / "exp", text), tmp_path / "out") == 2
    assert "separates nothing (task avss is needed, found svs)" in capsys.readouterr().err


def test_only_an_earlier_result_is_replaced(videos, model, tmp_path, capsys):
    out, quick = tmp_path / "out", ("--nfe", "0", "--no-video")
    assert separate(videos / "one.mp4", model, out, *quick, "--residual") == 0
    assert separate(videos / "one.mp4", model, out, *quick) == 0
    assert {p.name for p in out.iterdir()} == {"person1.wav", "people.json"}
    (out / "thesis.docx").write_text("important")
    assert separate(videos / "one.mp4", model, out, *quick) == 2
    assert "holds thesis.docx, which separation did not write" in capsys.readouterr().err
    assert (out / "thesis.docx").read_text() == "important"


class Counted(np.ndarray):
    """A picture whose deletion can be observed."""


def test_memory_is_bounded_by_a_chunk(videos, model, tmp_path, monkeypatch):
    """No picture is kept: of 25 decoded ones a few are alive at any time."""
    counts = {"alive": 0, "most": 0, "all": 0}
    plain = video._picture

    def watched(frame, like):
        image = plain(frame, like).view(Counted)
        counts["alive"] += 1
        counts["all"] += 1
        counts["most"] = max(counts["most"], counts["alive"])
        weakref.finalize(image, lambda: counts.update(alive=counts["alive"] - 1))
        return image

    monkeypatch.setattr(video, "_picture", watched)
    assert separate(videos / "one.mp4", model, tmp_path / "out", "--nfe", "0") == 0
    assert counts["all"] == 75 and counts["most"] <= 4
    held = footage.open_footage(videos / "one.mp4")
    assert not isinstance(held.sound, np.ndarray)


@needs_grid
def test_two_real_people_side_by_side(model, tmp_path):
    """Two GRID clips in one picture, the second one 0.4 s later."""
    if haar() is None:
        return
    paths = [GRID / "brbk7n.mpg", GRID / "lbax4n.mpg"]
    first, second = (read_recording(path) for path in paths)
    path = tmp_path / "grid.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 720, 288, "yuv420p"
        stream.options = {"q": "3"}
        voice = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        for k in range(50):
            late = second.frames[k - 10] if k >= 10 else np.full_like(second.frames[0], 60)
            image = np.concatenate((first.frames[k], late), 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
        mixture = first.audio[:32000].copy()
        mixture[6400:] += second.audio[:25600]
        sound = np.round(mixture * 16000).clip(-32768, 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(sound, format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(voice.encode(frame))
        container.mux(voice.encode())
    assert separate(path, model, tmp_path / "out", "--no-video", "--nfe", "0") == 0
    one, two = result(tmp_path / "out")["people"]
    assert one["first_seen"] == 0.0 and abs(two["first_seen"] - 0.4) <= 0.041
    assert one["boxes"][20][0] < 360 < two["boxes"][20][0]
    assert one["gaps"] == two["gaps"] == []
