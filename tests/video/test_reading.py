# ruff: noqa: E402
"""Reading videos by time stamps: rates, offsets, damage, synchrony of sound and pictures."""

import struct
from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")

from face_detectors import haar
from real_data import GRID, needs_grid

from voicediff.errors import ConfigError, DataError
from voicediff.video.crops import cut_face, cut_mouths, network_input
from voicediff.video.faces import (
    Boxes,
    FaceDetector,
    HaarFaces,
    YunetFaces,
    bridged,
    detect,
    mouth_of,
    read_sidecar,
)
from voicediff.video.reading import _picture, read_frames, read_recording


def write(
    path, times=None, sound=None, rate=16000, channels=1, sound_at=0.0, flash=None, video=True
):
    """A video with a picture at each of `times` (s), whose brightness is its index; sound (N,)."""
    times = np.arange(50) / 25 if times is None else times
    with av.open(str(path), "w") as container:
        if video:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            stream.options = {"q": "2"}
        if sound is not None:
            track = container.add_stream(
                "aac" if str(path).endswith("mp4") else "pcm_s16le", rate=rate
            )
            track.layout = "mono" if channels == 1 else "stereo"
        for index, time in enumerate(times if video else ()):
            bright = 255 if index == flash else (20 if flash is not None else shade(index))
            image = np.full((48, 64, 3), bright, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        if video:
            container.mux(stream.encode())
        if sound is not None and len(sound):
            planes = np.repeat(sound[None].astype(np.float32), channels, 0)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=track.layout.name)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round(sound_at * rate)
            resampler = av.AudioResampler(
                format=track.format.name, layout=track.layout.name, rate=rate
            )
            frames = [frame] if track.format.name == "fltp" else resampler.resample(frame)
            for piece in frames:
                container.mux(track.encode(piece))
            container.mux(track.encode())
    return path


def shade(index):
    return 20 + 23 * (index % 10)


def click(seconds, at, rate=16000):
    sound = np.zeros(round(seconds * rate))
    place = round(at * rate)
    sound[place - 8 * rate // 16000 : place + 8 * rate // 16000] = 0.8
    return sound


def brightness(frames):
    return np.array([f.mean() for f in frames])


@pytest.mark.parametrize("index", [3, 20, 41])
def test_a_flash_and_a_click_are_in_the_same_frame_of_any_crop(tmp_path, index):
    middle = (index + 0.5) / 25
    path = write(tmp_path / "a.mp4", sound=click(2.0, middle), flash=index)
    recording = read_recording(path)
    for start in (0, 1, 2, 3):
        frames = recording.frames[start:]
        audio = recording.audio[start * 640 :]
        assert np.argmax(brightness(frames)) == np.argmax(np.abs(audio)) // 640 == index - start


def test_stereo_at_44100_hz_becomes_mono_at_16000_without_a_shift(tmp_path):
    path = write(
        tmp_path / "a.mp4", sound=click(2.0, 1.02, 44100), rate=44100, channels=2, flash=25
    )
    recording = read_recording(path)
    assert len(recording.audio) == 50 * 640
    assert abs(np.argmax(np.abs(recording.audio)) - 1.02 * 16000) < 12


@pytest.mark.parametrize("fps", [15, 24, 29.97, 30, 50, 60])
def test_any_rate_becomes_25_frames_by_time(tmp_path, fps):
    times = np.arange(int(2 * fps)) / fps
    path = write(tmp_path / "a.mp4", times=times, sound=click(2.0, 1.0))
    recording = read_recording(path)
    assert abs(len(recording.frames) - 50) <= 1 and recording.shown.all()
    middles = (np.arange(len(recording.frames)) + 0.5) / 25
    newest = np.searchsorted(np.round(times, 3), middles + 1e-4, side="right") - 1
    assert np.abs(brightness(recording.frames) - shade(newest)).max() < 10


def test_variable_frame_rate_follows_the_time_stamps(tmp_path):
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.09, 40))
    times -= times[0]
    path = write(tmp_path / "a.mp4", times=times, sound=click(2.0, 1.0))
    recording = read_recording(path)
    middles = (np.arange(len(recording.frames)) + 0.5) / 25
    newest = np.searchsorted(np.round(times, 3), middles + 1e-4, side="right") - 1
    assert np.abs(brightness(recording.frames) - shade(newest)).max() < 10


def test_a_rotated_video_is_read_upright(tmp_path):
    """As written by a phone held upright: rotated by 90 degrees."""
    path = write(tmp_path / "a.mp4", sound=click(2.0, 1.0))
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44  # of the display matrix of the first track
    data[place : place + 36] = struct.pack(
        ">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30
    )
    path.write_bytes(data)
    assert read_recording(path).frames.shape[1:] == (64, 48, 3)
    top = np.zeros((48, 64, 3), np.uint8)
    top[:8] = 255

    class Turned:
        rotation = -90

        def to_ndarray(self, format):
            return top

    image = _picture(Turned(), Turned())
    assert image[:, -8:].min() == 255 and image[:, :-8].max() == 0


def test_a_late_picture_leaves_frames_that_are_not_shown(tmp_path):
    path = write(tmp_path / "a.mkv", times=0.4 + np.arange(40) / 25, sound=click(2.0, 1.02))
    recording = read_recording(path)
    assert not recording.shown[:10].any() and recording.shown[10:].all()
    assert len(recording.frames) == 50 and np.argmax(np.abs(recording.audio)) // 640 == 25


def test_late_sound_is_preceded_by_silence(tmp_path):
    path = write(tmp_path / "a.mkv", sound=click(1.5, 0.5), sound_at=0.52, flash=25)
    recording = read_recording(path)
    assert not recording.audio[:8000].any()
    assert (
        np.argmax(np.abs(recording.audio)) // 640 == np.argmax(brightness(recording.frames)) == 25
    )


def test_a_gap_in_the_pictures_is_not_shown(tmp_path):
    times = np.concatenate([np.arange(10) / 25, 1.6 + np.arange(10) / 25])
    recording = read_recording(write(tmp_path / "a.mp4", times=times, sound=click(2.0, 1.0)))
    assert (
        recording.shown[:20].all()
        and not recording.shown[25:39].any()
        and recording.shown[41:].all()
    )


def test_frames_are_decoded_one_by_one(tmp_path):
    frames = read_frames(write(tmp_path / "a.mp4", sound=click(2.0, 1.0)))
    image, shown = next(frames)
    assert image.shape == (48, 64, 3) and shown


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def test_no_sound_is_an_error(tmp_path):
    path = write(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="has no sound") as error:
        read_recording(path)
    assert one_line(error).startswith(str(path))


def test_no_video_is_an_error(tmp_path):
    path = write(tmp_path / "a.mp4", sound=click(2.0, 1.0), video=False)
    with pytest.raises(DataError, match="has no video") as error:
        read_recording(path)
    one_line(error)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_a_truncated_file_is_an_error(tmp_path, suffix, share):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 6 * 16000)
    path = write(tmp_path / f"a.{suffix}", times=np.arange(150) / 25, sound=noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=r"truncated|has no") as error:
        read_recording(path)
    one_line(error)


def test_empty_and_missing_files_are_errors(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(DataError, match="not a readable video") as error:
        read_recording(tmp_path / "a.mp4")
    one_line(error)
    with pytest.raises(DataError, match="no such file"):
        read_recording(tmp_path / "b.mp4")


def test_a_recording_of_0_seconds_is_an_error(tmp_path):
    path = write(tmp_path / "a.mkv", times=[0.0], sound=np.zeros(0))
    with pytest.raises(DataError, match=r"\(0 s\)|less than one frame|not a readable"):
        read_recording(path)


def test_sound_may_be_in_another_file(tmp_path):
    video = write(tmp_path / "a.mp4", flash=25)
    sound = write(tmp_path / "a.m4a.mp4", sound=click(2.0, 1.02), video=False)
    recording = read_recording(video, sound)
    assert np.argmax(np.abs(recording.audio)) // 640 == np.argmax(brightness(recording.frames))


def test_crops_have_subpixel_precision():
    ramp = np.tile(np.arange(0, 200, 2, dtype=np.uint8), (60, 1))
    frames = np.repeat(ramp[None, ..., None], 3, -1)
    boxes = np.float32([[10, 5, 20, 20], [10.5, 5, 20, 20]])
    crops = [cut_mouths(frames, Boxes(box[None], np.array([True])), 20)[0] for box in boxes]
    assert np.allclose(crops[1].astype(float) - crops[0], 1.0, atol=1)
    assert np.mean(crops[1].astype(float) - crops[0]) == pytest.approx(1.0, abs=0.2)
    assert np.array_equal(crops[0][0], ramp[0, 10:30])


def test_frames_that_are_not_valid_are_empty_and_normalise_to_zero():
    frames = np.full((3, 40, 40, 3), 200, np.uint8)
    mouth = Boxes(np.tile(np.float32([5, 5, 20, 20]), (3, 1)), np.array([True, False, True]))
    crops = cut_mouths(frames, mouth)
    pixels = network_input(crops, mouth.valid)
    assert not crops[1].any() and not pixels[1].any()
    assert pixels.shape == (3, 88, 88) and pixels[0].mean() == pytest.approx(
        (200 / 255 - 0.421) / 0.165
    )


def test_training_crops_have_one_position_in_all_frames():
    crops = np.tile(np.arange(96, dtype=np.uint8), (4, 96, 1))
    pixels = network_input(crops, np.ones(4, bool), np.random.default_rng(1))
    assert np.array_equal(pixels[0], pixels[3])


def test_short_gaps_between_detections_are_bridged_and_long_ones_are_not():
    boxes = np.tile(np.float32([10, 10, 50, 50]), (60, 1))
    valid = np.ones(60, bool)
    valid[5:9] = valid[25:45] = valid[:2] = False
    found = bridged(Boxes(boxes * valid[:, None], valid))
    assert found.valid[5:9].all() and not found.valid[26:44].any() and not found.valid[:2].any()
    assert np.allclose(found.boxes, [10, 10, 50, 50])


def test_one_false_detection_does_not_move_the_box():
    boxes = np.tile(np.float32([10, 10, 50, 50]), (30, 1))
    boxes[12] = (18, 2, 70, 70)
    assert np.allclose(bridged(Boxes(boxes, np.ones(30, bool))).boxes, [10, 10, 50, 50])


def test_no_face_is_no_valid_frame():
    found = detect(np.full((3, 80, 80, 3), 128, np.uint8), haar() or Nobody())
    assert not found.valid.any()
    assert not cut_face(np.full((3, 80, 80, 3), 128, np.uint8), found).any()


def test_a_sidecar_may_mark_a_mouth_as_not_visible(tmp_path):
    path = tmp_path / "a.boxes.json"
    path.write_text('{"mouth": [[1, 2, 30, 30], null, [1, 2, 30, 30]]}')
    assert read_sidecar(path, 4).valid.tolist() == [True, False, True, False]
    path.write_text('{"mouths": []}')
    with pytest.raises(DataError, match="not a file of mouth boxes"):
        read_sidecar(path, 4)


def test_a_missing_yunet_model_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        YunetFaces(tmp_path / "none.onnx")


def test_a_missing_cascade_is_an_error(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    with pytest.raises(ConfigError, match="has no Haar cascade for face detection: give the YuNet"):
        HaarFaces()(np.zeros((64, 64, 3), np.uint8))


class Nobody(FaceDetector):
    def __call__(self, image):
        return np.zeros((0, 5), np.float32)


@needs_grid
def test_real_clips_have_a_face_in_every_frame_and_whole_sound():
    paths = sorted(GRID.glob("*.mpg"))
    detector, steps = haar(), slice(None, None, 9)
    assert len(paths) == 6
    for path in paths:
        recording = read_recording(path)
        assert recording.frames.shape == (75, 288, 360, 3) and recording.shown.all()
        assert len(recording.audio) == 75 * 640 and recording.audio.std() > 0.05
        if detector is None:
            continue
        faces = detect(recording.frames[steps], detector)
        mouths = mouth_of(faces).boxes
        assert faces.valid.all()
        assert np.ptp(mouths[:, :2] + mouths[:, 2:] / 2, axis=0).max() < 25
