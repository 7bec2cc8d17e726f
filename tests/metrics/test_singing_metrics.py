"""Singing metrics against plain loops, closed-form values and other libraries."""

import librosa
import numpy as np
import pytest
import scipy.linalg
from scipy.stats import pearsonr

from voicediff.audio import MelSpec
from voicediff.errors import DataError
from voicediff.metrics import Item, Pair, score_row, score_utterances, singing_metrics
from voicediff.metrics.cepstrum import warping_path
from voicediff.metrics.scoring import SINGING
from voicediff.music.score import Note, Score
from voicediff.registry import build, entries

SPEC = MelSpec(n_mels=20)
RATE, HOP = SPEC.sample_rate, SPEC.hop
LENGTHS = (90, 140)


def random_mels(seed, lengths=LENGTHS, bins=20):
    """Smooth random mels, so that patches have main and fine directions."""
    rng = np.random.default_rng(seed)
    rough = [rng.standard_normal((bins + 4, n + 4)).cumsum(0) * 0.3 - 5 for n in lengths]
    kernel = np.ones(5) / 5
    along = [np.apply_along_axis(np.convolve, 1, m, kernel, "valid") for m in rough]
    return [np.apply_along_axis(np.convolve, 0, m, kernel, "valid") for m in along]


def random_f0(seed, lengths=LENGTHS):
    rng = np.random.default_rng(seed)
    return [np.where(rng.random(n) < 0.8, 220 * 2 ** rng.normal(0, 0.4, n), 0.0) for n in lengths]


def row(name, references, generated, **options):
    metric = build("metric", {"name": name, **options})
    return score_row(references, generated, SPEC, [metric])


def mel_items(mels):
    return [Item(mel=m) for m in mels]


def f0_items(curves, score=None):
    return [Item(f0=f, score=score) for f in curves]


A, B = random_mels(1), random_mels(2)
F, G = random_f0(3), random_f0(4)


def cepstrum(frame, order):
    """The definition, in loops."""
    bins = len(frame)
    return np.array(
        [
            2 / bins * sum(frame[i] * np.cos(np.pi * k * (i + 0.5) / bins) for i in range(bins))
            for k in range(1, order + 1)
        ]
    )


def distortion(a, b):
    return 10 / np.log(10) * np.sqrt(2 * np.sum((a - b) ** 2))


def test_every_metric_is_registered_with_a_summary():
    assert set(SINGING) <= set(entries("metric"))
    for name in SINGING:
        assert entries("metric")[name].summary.endswith(".")


def test_mcd_is_the_mean_over_all_frames_of_the_formula():
    expected = [
        distortion(cepstrum(a[:, t], 13), cepstrum(b[:, t], 13))
        for a, b in zip(A, B, strict=True)
        for t in range(a.shape[1])
    ]
    assert row("mcd", mel_items(A), mel_items(B))["mcd"] == pytest.approx(np.mean(expected))


def test_mcd_with_all_coefficients_is_the_spectral_distance_in_decibel():
    b = [a + np.cos(np.pi * 3 * (np.arange(20) + 0.5) / 20)[:, None] * 0.2 for a in A]
    rms = 20 / np.log(10) * 0.2 / np.sqrt(2)
    assert row("mcd", mel_items(A), mel_items(b))["mcd"] == pytest.approx(rms)
    louder = [a + 1.0 for a in A]
    assert row("mcd", mel_items(A), mel_items(louder))["mcd"] == pytest.approx(0, abs=1e-9)


def cheapest_path(cost):
    """Dynamic programming cell by cell."""
    best = {(-1, -1): (0.0, [])}
    for i in range(cost.shape[0]):
        for j in range(cost.shape[1]):
            before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
            total, place = min((best[b][0], b) for b in before if b in best)
            best[i, j] = (total + cost[i, j], place)
    path, place = [], (cost.shape[0] - 1, cost.shape[1] - 1)
    while place != (-1, -1):
        path.append(place)
        place = best[place][1]
    return path


def test_warped_mcd_is_the_mean_along_the_cheapest_path():
    total, steps = 0.0, 0
    for a, b in zip(A, B, strict=True):
        x, y = ([cepstrum(frame, 13) for frame in m.T] for m in (a, b))
        cost = np.array([[distortion(p, q) for q in y] for p in x])
        path = cheapest_path(cost)
        total, steps = total + sum(cost[i, j] for i, j in path), steps + len(path)
    found = row("mcd_dtw", mel_items(A), mel_items(B))["mcd_dtw"]
    assert found == pytest.approx(total / steps)


def test_warping_removes_a_delay():
    mel = A[1]
    late = np.concatenate((np.repeat(mel[:, :1], 3, 1), mel[:, :-3]), 1)
    assert row("mcd_dtw", [Item(mel=mel)], [Item(mel=late)])["mcd_dtw"] < 0.1
    assert row("mcd", [Item(mel=mel)], [Item(mel=late)])["mcd"] > 0.5
    i, j = warping_path(np.ones((4, 7)))
    assert len(i) == 7 and (i[0], j[0], i[-1], j[-1]) == (0, 0, 3, 6)


def test_log_mel_error_counts_every_bin_of_every_frame_once():
    values = [20 * np.log10(np.exp(abs(x - y))) for a, b in zip(A, B, strict=True)
              for x, y in zip(a.ravel(), b.ravel(), strict=True)]  # fmt: skip
    found = row("log_mel_error", mel_items(A), mel_items(B))["log_mel_error"]
    assert found == pytest.approx(np.mean(values))


def test_variance_ratio_is_within_lines():
    top = sum(((b[k] - b[k].mean()) ** 2).sum() for b in B for k in range(20))
    bottom = sum(((a[k] - a[k].mean()) ** 2).sum() for a in A for k in range(20))
    found = row("variance_ratio", mel_items(A), mel_items(B))["variance_ratio"]
    assert found == pytest.approx(top / bottom)
    half = [a * 0.5 + i for i, a in enumerate(A)]
    assert row("variance_ratio", mel_items(A), mel_items(half))["variance_ratio"] == pytest.approx(
        0.25
    )


def test_modulation_ratio_is_band_energy_of_hann_windows():
    def energy(mels):
        size, rate, total = 64, RATE / HOP, 0.0
        hann = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
        for mel in mels:
            for start in range(0, mel.shape[1] - size + 1, size // 2):
                for band in mel[:, start : start + size]:
                    x = (band - band.mean()) * hann
                    for k in range(size // 2 + 1):
                        if 4 <= k * rate / size <= 30:
                            wave = np.exp(-2j * np.pi * k * np.arange(size) / size)
                            total += abs((x * wave).sum()) ** 2
        return total

    found = row("modulation_ratio", mel_items(A), mel_items(B))["modulation_ratio"]
    assert found == pytest.approx(energy(B) / energy(A))


def test_modulation_ratio_shows_smoothing_that_variance_ratio_misses():
    slow = np.sin(2 * np.pi * 0.5 * np.arange(400) * HOP / RATE)
    fast = 0.3 * np.sin(2 * np.pi * 8 * np.arange(400) * HOP / RATE)
    sharp, blurred = np.tile(slow + fast, (20, 1)), np.tile(slow, (20, 1))
    found = score_row(
        [Item(mel=sharp)],
        [Item(mel=blurred)],
        SPEC,
        singing_metrics(("variance_ratio", "modulation_ratio")),
    )
    assert found["variance_ratio"] > 0.85 and found["modulation_ratio"] < 0.05


def patches(mels):
    return np.array([m[:, t : t + 3].T.ravel() for m in mels for t in range(m.shape[1] - 2)])


def test_frechet_over_all_directions_is_the_closed_form():
    p, q = patches(A), patches(B)
    c, d = np.cov(p.T, bias=True), np.cov(q.T, bias=True)
    root = scipy.linalg.sqrtm(c)
    cross = scipy.linalg.sqrtm(root @ d @ root)
    squared = ((p.mean(0) - q.mean(0)) ** 2).sum() + np.trace(c + d - 2 * cross.real)
    found = row("frechet", mel_items(A), mel_items(B), main=60)
    assert found["frechet"] == pytest.approx(np.sqrt(squared), rel=1e-3)
    assert found["frechet_fine"] == 0


def test_frechet_splits_into_main_and_fine_directions_of_the_reference():
    p, q = patches(A), patches(B)
    values, vectors = np.linalg.eigh(np.cov(p.T, bias=True))
    fine = vectors[:, np.argsort(values)[:-10]]
    squared = sum(
        (p @ v).mean() ** 2 - 2 * (p @ v).mean() * (q @ v).mean() + (q @ v).mean() ** 2
        + ((p @ v).std() - (q @ v).std()) ** 2
        for v in fine.T
    )  # fmt: skip
    found = row("frechet", mel_items(A), mel_items(B), main=10)
    assert found["frechet_fine"] == pytest.approx(np.sqrt(squared), rel=1e-4)
    both = np.hypot(found["frechet_main"], found["frechet_fine"])
    assert found["frechet"] == pytest.approx(both)


def test_frechet_of_a_constant_shift_is_its_norm():
    shifted = [a + 0.1 for a in A]
    found = row("frechet", mel_items(A), mel_items(shifted))["frechet"]
    assert found == pytest.approx(0.1 * np.sqrt(60), rel=1e-3)


@pytest.mark.parametrize("degradation", ["smoothing", "noise"])
def test_frechet_rises_with_smoothing_and_with_noise_on_a_few_seconds(degradation):
    rng = np.random.default_rng(0)

    def textured(seed):
        mels = random_mels(seed, (500, 500))
        return [m + 0.2 * rng.standard_normal(m.shape) for m in mels]

    reference, clean = textured(1), textured(9)
    if degradation == "smoothing":
        degraded = [np.apply_along_axis(np.convolve, 1, m, np.ones(5) / 5, "same") for m in clean]
    else:
        degraded = [m + 0.3 * rng.standard_normal(m.shape) for m in clean]
    good, bad = (row("frechet", mel_items(reference), mel_items(x)) for x in (clean, degraded))
    assert bad["frechet_fine"] > 3 * good["frechet_fine"]
    assert bad["frechet"] > good["frechet"]


def voiced_pairs():
    return [
        (f, g)
        for x, y in zip(F, G, strict=True)
        for f, g in zip(x, y, strict=True)
        if f > 0 and g > 0
    ]


def test_f0_figures_are_pooled_over_frames():
    found = score_row(
        f0_items(F),
        f0_items(G),
        SPEC,
        singing_metrics(
            ("log_f0_rmse", "f0_correlation", "vuv_error", "sung_f0_distance", "semitone_accuracy")
        ),
    )
    f, g = np.array(voiced_pairs()).T
    assert found["log_f0_rmse"] == pytest.approx(np.sqrt(np.mean((np.log(f) - np.log(g)) ** 2)))
    assert found["f0_correlation"] == pytest.approx(pearsonr(np.log(f), np.log(g))[0])
    assert found["sung_f0_distance"] == pytest.approx(
        np.median([abs(librosa.hz_to_octs(x) - librosa.hz_to_octs(y)) * 1200 for x, y in zip(f, g, strict=True)])
    )  # fmt: skip
    same = np.round(librosa.hz_to_midi(f)) == np.round(librosa.hz_to_midi(g))
    assert found["semitone_accuracy"] == pytest.approx(same.mean())
    wrong = sum(
        (x > 0) != (y > 0) for a, b in zip(F, G, strict=True) for x, y in zip(a, b, strict=True)
    )
    assert found["vuv_error"] == pytest.approx(wrong / sum(LENGTHS))


def test_an_octave_is_ln_2_and_1200_cents():
    found = score_row(f0_items(F), f0_items([2 * f for f in F]), SPEC)
    assert found["log_f0_rmse"] == pytest.approx(np.log(2))
    assert found["sung_f0_distance"] == pytest.approx(1200)
    assert found["f0_correlation"] == pytest.approx(1) and found["vuv_error"] == 0


def test_within_50_cents_counts_frames_inside_notes_only():
    frames = RATE / HOP
    score = Score((Note(0.2, 0.6, 69, "가"), Note(0.8, 1.2, 71, "나")), 1.4)
    f0 = np.full(round(1.4 * frames), 440.0)  # right on the first note, 200 cents off on the second
    f0[int(0.3 * frames) : int(0.4 * frames)] = 440 * 2 ** (60 / 1200)
    f0[int(0.5 * frames) :: 2] = 0
    times = (np.arange(len(f0)) + 0.5) / frames
    inside = total = 0
    for time, hz in zip(times, f0, strict=True):
        for note in score.notes:
            if note.start <= time < note.end and hz > 0:
                total += 1
                inside += abs(1200 * np.log2(hz / librosa.midi_to_hz(note.pitch))) <= 50
    item = Item(f0=f0, score=score)
    found = score_row([item], [item], SPEC)
    assert 0 < inside < total
    assert found["within_50_cents"] == pytest.approx(inside / total)
    assert found["note_error"] == pytest.approx((0 + 200) / 2, abs=0.01)
    assert row("within_50_cents", [item], [item], cents=250)["within_250_cents"] == 1


@pytest.mark.parametrize("delay", [-0.03, 0.0, 0.012, 0.05])
def test_onset_error_is_the_delay(delay):
    starts = np.array([0.4, 0.9, 1.5, 2.1])
    times = (np.arange(250) + 0.5) * HOP / RATE

    def mel(shift):
        level = np.full(250, -8.0)
        for start in starts + shift:  # a soft onset of 40 ms and a decay
            level += (
                5
                * np.clip((times - start) / 0.04, 0, 1)
                * np.exp(-np.maximum(times - start, 0) / 0.2)
            )
        return np.tile(level, (20, 1))

    score = Score(tuple(Note(s, s + 0.3, 60, "가") for s in starts), 3.0)
    found = row(
        "onset_error", [Item(mel=mel(0.0), score=score)], [Item(mel=mel(delay), score=score)]
    )
    assert found["onset_error"] == pytest.approx(abs(delay), abs=0.002)


def comb(noise, hz=200.0, seconds=1.0):
    time = np.arange(round(seconds * RATE)) / RATE
    lines = sum(np.cos(2 * np.pi * n * hz * time + n) for n in range(1, 11)) * 0.05
    return lines + noise * np.random.default_rng(0).standard_normal(len(time))


def test_harmonic_contrast_is_the_ratio_of_line_to_noise():
    wav = comb(0.002)
    f0 = np.full(len(wav) // HOP, 200.0)
    f0[:3] = f0[-3:] = 0  # the windows there are not full
    item = Item(wav=wav, f0=f0)
    found = row("harmonic_contrast", [item], [item])["harmonic_contrast"]
    size = 2 * round(0.06 * RATE / 2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)
    line = 20 * np.log10(0.05 / 2 * window.sum())
    # the logarithm of an exponentially distributed power has its mean gamma below the log of it
    noise = 10 * (np.log10(0.002**2 * (window**2).sum()) - np.euler_gamma / np.log(10))
    assert found == pytest.approx(line - noise, abs=1.0)


def test_harmonic_contrast_agrees_with_a_direct_transform():
    wav = comb(0.01, 231.7)
    f0 = np.where(np.arange(len(wav) // HOP) % 10 == 5, 231.7, 0.0)
    size = 2 * round(0.06 * RATE / 2)
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    padded, values = np.pad(wav, size), []
    for frame in np.flatnonzero(f0):
        start = frame * HOP + HOP // 2 - size // 2 + size
        x = padded[start : start + size] * window

        def level(hz, x=x):
            return 10 * np.log10(
                abs((x * np.exp(-2j * np.pi * hz * np.arange(size) / RATE)).sum()) ** 2
            )

        for h in range(1, 9):
            valleys = level((h - 0.5) * 231.7) + level((h + 0.5) * 231.7)
            values.append(level(h * 231.7) - valleys / 2)
    item = Item(wav=wav, f0=f0)
    found = row("harmonic_contrast", [item], [item])["harmonic_contrast"]
    assert found == pytest.approx(np.mean(values), abs=0.5)  # interpolated between bins


def test_a_recording_against_itself_has_the_ideal_values():
    wav = comb(0.001, seconds=2.0)
    score = Score((Note(0.1, 0.9, 55, "가"), Note(1.0, 1.9, 55, "나")), 2.0)
    item = Item(wav=wav, score=score)
    found = score_row([item], [item], MelSpec())
    assert set(SINGING) <= set(found)
    zero = {"mcd", "mcd_dtw", "log_mel_error", "frechet", "log_f0_rmse", "vuv_error", "onset_error"}
    assert all(found[name] == pytest.approx(0, abs=1e-3) for name in zero | {"sung_f0_distance"})
    one = {"variance_ratio", "modulation_ratio", "semitone_accuracy"}
    assert all(found[name] == pytest.approx(1) for name in one)


def test_each_line_has_figures_and_metrics_without_their_features_are_left_out():
    overall, lines = score_utterances(mel_items(A), mel_items(B), SPEC)
    assert len(lines) == 2 and "frechet" in overall and "frechet" not in lines[0]
    assert "harmonic_contrast" not in overall and "vuv_error" not in overall
    weights = np.array(LENGTHS)
    mcd = [line["mcd"] for line in lines]
    assert overall["mcd"] == pytest.approx((weights * mcd).sum() / weights.sum())


def test_renditions_of_another_length_are_refused():
    with pytest.raises(DataError, match="line 3: the recording has 90 frames, the rendition 140"):
        Pair.of(Item(mel=A[0]), Item(mel=A[1]), SPEC, "line 3")
    cut = Pair.of(Item(mel=A[0]), Item(mel=A[0][:, :-2]), SPEC)
    assert cut.reference.mel.shape == cut.generated.mel.shape == (20, 88)


def test_silence_and_unvoiced_signals_give_nan_not_errors():
    silent = Item(wav=np.zeros(RATE, np.float32), score=Score((Note(0.1, 0.5, 60, "가"),), 1.0))
    found = score_row([silent], [silent], MelSpec())
    assert np.isnan(found["sung_f0_distance"]) and np.isnan(found["harmonic_contrast"])
    assert found["vuv_error"] == 0


def sine(hz, seconds=1.0, gain=0.3):
    """A tone (N,) whose frequency may change with time."""
    hz = np.broadcast_to(hz, int(seconds * RATE))
    return (gain * np.sin(2 * np.pi * np.cumsum(hz) / RATE)).astype(np.float32)


def waveform_row(name, natural, made, score=None, **options):
    metric = build("metric", {"name": name, **options})
    pair = [Item(wav=natural, score=score)], [Item(wav=made, score=score)]
    return score_row(*pair, MelSpec(), [metric])


def test_multi_stft_of_a_gain_has_its_closed_form():
    wav = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    found = waveform_row("multi_stft", wav, 0.5 * wav)
    assert found["log_spectral_distance"] == pytest.approx(20 * np.log10(2), abs=0.01)
    assert found["multi_stft"] == pytest.approx(0.5 + np.log(2), abs=0.01)
    assert waveform_row("multi_stft", wav, -wav)["multi_stft"] == pytest.approx(0, abs=1e-6)


def test_periodicity_error_grows_with_noise_on_a_tone():
    tone, noise = sine(220.0), np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert waveform_row("periodicity_error", tone, 0.5 * tone)["periodicity_error"] < 1e-3
    mixed = waveform_row("periodicity_error", tone, tone + 0.1 * noise)["periodicity_error"]
    assert 0.02 < mixed < waveform_row("periodicity_error", tone, noise)["periodicity_error"]
    assert waveform_row("periodicity_error", tone, noise)["periodicity_error"] > 0.5


def test_jitter_ignores_vibrato_and_drift_but_not_fast_fluctuation():
    score = Score((Note(0.0, 2.0, 57, "아"),), 2.0)
    time = np.arange(2 * RATE) / RATE
    vibrato = 220 * 2 ** (0.4 / 12 * np.sin(2 * np.pi * 5.4 * time) + 0.3 / 12 * time)
    jittered = vibrato * 2 ** (0.1 / 12 * np.sin(2 * np.pi * 16.0 * time))

    def jitter(hz):
        wav = sine(hz, 2.0)
        return waveform_row("f0_jitter", wav, wav, score)["f0_jitter"]

    assert jitter(vibrato) < 1.0 < 2.0 < jitter(jittered) < 10 / np.sqrt(2) + 1


def test_octave_errors_are_not_jitter():
    score = Score((Note(0.0, 2.0, 57, "아"),), 2.0)
    frames = 2 * RATE // MelSpec().hop
    halved = np.where(np.arange(frames) % 60 < 8, 110.0, 220.0).astype(np.float32)
    item = Item(f0=halved, mel=np.zeros((80, frames)), score=score)
    metric = build("metric", {"name": "f0_jitter"})
    assert score_row([item], [item], MelSpec(), [metric])["f0_jitter"] < 0.01


def test_jitter_of_short_notes_is_nan():
    score = Score((Note(0.0, 0.4, 57, "아"),), 1.0)
    wav = sine(220.0)
    assert np.isnan(waveform_row("f0_jitter", wav, wav, score)["f0_jitter"])


def test_the_90th_percentile_of_the_distance_to_sung_f0():
    flat = np.full(100, 200.0)
    other = flat * 2 ** (np.arange(100) / 1200)
    found = row("sung_f0_distance", f0_items([flat]), f0_items([other]))
    assert found["sung_f0_distance"] == pytest.approx(49.5, abs=0.01)
    assert found["sung_f0_distance_p90"] == pytest.approx(89.1, abs=0.01)
