"""Reading and writing sound files."""

import numpy as np
import pytest
import soundfile
import torch

from voicediff.audio import read_wav, write_wav
from voicediff.errors import DataError

RATE = 8000


def tone(seconds=0.5, rate=RATE, hz=440.0, amplitude=0.3):
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def test_written_sound_is_read_back_to_16_bits(tmp_path):
    wav = tone()
    write_wav(tmp_path / "a.wav", wav, RATE)
    back, rate = read_wav(tmp_path / "a.wav")
    assert rate == RATE and back.dtype == np.float32
    np.testing.assert_allclose(back, wav, atol=1.01 / 32767)
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"


def test_pieces_and_tensors_write_the_same_file(tmp_path):
    wav = tone()
    write_wav(tmp_path / "whole.wav", torch.from_numpy(wav), RATE)
    write_wav(tmp_path / "pieces.wav", (wav[i : i + 700] for i in range(0, len(wav), 700)), RATE)
    assert (tmp_path / "whole.wav").read_bytes() == (tmp_path / "pieces.wav").read_bytes()


def test_a_loud_signal_is_scaled_not_clipped(tmp_path):
    wav = tone(amplitude=3.0)
    write_wav(tmp_path / "a.wav", np.array_split(wav, 3), RATE)
    back, _ = read_wav(tmp_path / "a.wav")
    np.testing.assert_allclose(back, wav / np.abs(wav).max() * 0.999, atol=2 / 32767)


def test_stereo_is_averaged(tmp_path):
    left, right = tone(), tone(hz=300.0)
    soundfile.write(tmp_path / "a.wav", np.stack((left, right), 1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav")[0], (left + right) / 2, atol=1e-7)


def test_resampling_keeps_the_tone(tmp_path):
    write_wav(tmp_path / "a.wav", tone(rate=16000), 16000)
    wav, rate = read_wav(tmp_path / "a.wav", RATE)
    assert rate == RATE and len(wav) == len(tone())
    np.testing.assert_allclose(wav[200:-200], tone()[200:-200], atol=2e-3)


def test_a_part_is_read_by_seconds(tmp_path):
    wav = tone()
    write_wav(tmp_path / "a.wav", wav, RATE)
    part, _ = read_wav(tmp_path / "a.wav", start=0.1, end=0.3)
    np.testing.assert_allclose(part, wav[800:2400], atol=1.01 / 32767)


def test_a_truncated_wav_error_gives_the_missing_bytes(tmp_path):
    path = tmp_path / "a.wav"
    write_wav(path, tone(), RATE)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(
        DataError, match=r"a\.wav: truncated: .* 8000 bytes of audio, the file has 7000"
    ):
        read_wav(path)
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(DataError, match=r"a\.wav: truncated"):
        read_wav(path)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all, but some bytes of text"])
def test_invalid_files_are_data_errors_in_one_line(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.wav: ") as error:
        read_wav(path)
    assert "\n" not in str(error.value)


def test_missing_empty_and_damaged_files_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="no such sound file"):
        read_wav(tmp_path / "none.wav")
    write_wav(tmp_path / "empty.wav", np.zeros(0, np.float32), RATE)
    with pytest.raises(DataError, match="contains no sound"):
        read_wav(tmp_path / "empty.wav")
    write_wav(tmp_path / "short.wav", tone(), RATE)
    with pytest.raises(DataError, match=r"no sound between 2\.000 and 3\.000 s"):
        read_wav(tmp_path / "short.wav", start=2, end=3)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan], np.float32), RATE, "FLOAT")
    with pytest.raises(DataError, match="not numbers"):
        read_wav(tmp_path / "nan.wav")


def test_a_signal_that_is_not_finite_is_an_error_and_nothing_is_written(tmp_path):
    with pytest.raises(DataError, match="not written"):
        write_wav(tmp_path / "a.wav", np.array([0.0, np.inf], np.float32), RATE)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    write_wav(tmp_path / "a.wav", tone(), RATE)
    before = (tmp_path / "a.wav").read_bytes()
    monkeypatch.setattr("wave.Wave_write.writeframes", full)
    with pytest.raises(DataError, match=r"a\.wav: cannot be written: No space left"):
        write_wav(tmp_path / "a.wav", tone(hz=100.0), RATE)
    assert (tmp_path / "a.wav").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
