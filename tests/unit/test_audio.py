"""Audio (spec/media.md; reference/audio.py, opus.py, devices.py): files, codec, devices, likeness."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import wave
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import reference.audio as audio_module
from reference.audio import (
    FRAME_BYTES,
    SILENCE,
    AudioError,
    AudioMissing,
    Decoder,
    Encoder,
    Microphone,
    Similarity,
    Speaker,
    WavWriter,
    read_wav,
    similarity,
    tone,
)
from reference.core.errors import Misuse

pytest.importorskip("av", reason="needs the extra `audio`: PyAV")
numpy = pytest.importorskip("numpy", reason="needs the extra `audio`: numpy")

SAMPLES = Path(audio_module.__file__).parent / "samples"
ROOT = SAMPLES.parent.parent


@pytest.fixture(scope="module", params=["caller", "callee"])
def speech(request: pytest.FixtureRequest) -> list[bytes]:
    """The frames of one of the samples."""
    return read_wav(SAMPLES / f"{request.param}.wav")


def write_wav(path: Path, rate: int, width: int, channels: int, pcm: bytes) -> Path:
    """Write a PCM file as any recorder would."""
    with wave.open(str(path), "wb") as target:
        target.setparams((channels, width, rate, 0, "NONE", "not compressed"))
        target.writeframes(pcm)
    return path


def sine(rate: int, seconds: float, hertz: float = 440.0) -> Any:  # noqa: ANN401 - a numpy array
    """A sine of a quarter of full scale, as floats from -1 to 1."""
    return 0.25 * numpy.sin(2 * math.pi * hertz * numpy.arange(int(rate * seconds)) / rate)


def through_codec(frames: list[bytes], lost: frozenset[int] = frozenset()) -> list[bytes]:
    """What the other side hears when the frames at these places do not arrive."""
    encoder, decoder = Encoder(), Decoder()
    packets = [encoder.encode(frame) for frame in frames]
    return [decoder.conceal() if at in lost else decoder.decode(each) for at, each in enumerate(packets)]


def peak(frames: list[bytes]) -> int:
    """The loudest sample."""
    return int(abs(numpy.frombuffer(b"".join(frames), "<i2").astype(int)).max())


def test_speech_survives_the_codec(speech: list[bytes]) -> None:
    """Speech is at least 0.9 like the original after the codec, and late by the codec's delay only."""
    result = similarity(speech, through_codec(speech))
    assert result.correlation >= 0.9
    assert 0.0 <= result.lag_ms < 20.0


def test_speech_survives_loss(speech: list[bytes]) -> None:
    """With 5 % of the frames lost and concealed, speech is still more than 0.8 like the original."""
    lost = frozenset(random.Random(5).sample(range(len(speech)), len(speech) // 20))
    assert similarity(speech, through_codec(speech, lost)).correlation > 0.8


def test_concealment_is_better_than_silence(speech: list[bytes]) -> None:
    """What fills the holes is nearer to the speech than silence in its place."""
    lost = frozenset(range(7, len(speech), 10))
    concealed = through_codec(speech, lost)
    silenced = [SILENCE if at in lost else frame for at, frame in enumerate(concealed)]
    assert similarity(speech, silenced).correlation < similarity(speech, concealed).correlation


def test_two_voices_are_not_alike() -> None:
    """Caller and callee are less than 0.3 alike, so that a mix-up of the two shows."""
    caller, callee = (read_wav(SAMPLES / f"{name}.wav") for name in ("caller", "callee"))
    assert similarity(caller, callee).correlation < 0.3
    assert similarity(callee, through_codec(caller)).correlation < 0.3


def test_one_packet_a_frame_at_the_bit_rate(speech: list[bytes]) -> None:
    """Each frame gives one packet of a single 20 ms frame, and a second of speech about 24 kbit."""
    encoder = Encoder()
    packets = [encoder.encode(frame) for frame in speech]
    # RFC 6716 section 3.1: configurations of 20 ms; bit 2 clear is mono; code 0 is one frame a packet.
    twenty = {1, 5, 9, 13, 15, 19, 23, 27, 31}
    assert set() == {packet[0] >> 3 for packet in packets} - twenty
    assert {0} == {packet[0] & 7 for packet in packets}
    assert 18_000 < sum(map(len, packets)) * 8 / (len(packets) * 0.02) < 27_000


@pytest.mark.parametrize("length", [0, FRAME_BYTES - 2, FRAME_BYTES + 2])
def test_encodes_frames_only(length: int) -> None:
    """Anything but a frame of 1920 bytes is our own misuse."""
    with pytest.raises(Misuse, match=str(length)):
        Encoder().encode(bytes(length))


def test_concealment_fades_to_silence() -> None:
    """A row of lost frames sounds on, ever softer, and is silent after 200 ms."""
    frames = list(islice(tone(), 30))
    heard = through_codec(frames, frozenset(range(15, 30)))
    assert peak(heard[15:16]) > peak(heard[14:15]) / 2
    assert peak(heard[24:25]) < peak(heard[15:16]) / 4
    assert [SILENCE] * 5 == heard[25:]


def test_concealment_fades_a_guess_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A codec that goes on and on with what it heard is faded out evenly over 200 ms."""
    decoder = Decoder()
    decoder.decode(Encoder().encode(SILENCE))
    monkeypatch.setattr(decoder, "_try", lambda _: numpy.full(960, 10_000, "<i2").tobytes())
    heard = b"".join(decoder.conceal() for _ in range(11))
    expected = [*(10_000 - 1_000 * number for number in range(10)), 0]
    assert pytest.approx(expected, abs=1) == numpy.frombuffer(heard, "<i2")[::960].tolist()


def test_nothing_heard_conceals_as_silence() -> None:
    """Before the first packet there is nothing to go on with but silence."""
    assert SILENCE == Decoder().conceal()


@pytest.mark.parametrize(
    "packet",
    [b"", b"\xff\xff\xff", bytes(5000), bytes([0x08 << 3]) + bytes(20), b"\x0b"],
    ids=["empty", "cut short", "too long", "10 ms", "no frame count"],
)
def test_what_is_not_20_ms_of_opus_is_concealed(packet: bytes) -> None:
    """A packet that is no frame of Opus is rejected, sounds like a lost one, and harms nothing after it."""
    encoder, decoder = Encoder(), Decoder()
    frames = list(islice(tone(), 12))
    for frame in frames[:10]:
        decoder.decode(encoder.encode(frame))
    assert peak([decoder.decode(packet)]) > 1000
    assert 1 == decoder.rejected
    assert peak([decoder.decode(encoder.encode(frames[10]))]) > 4000
    assert 1 == decoder.rejected


def test_two_halves_make_a_frame(speech: list[bytes]) -> None:
    """A packet of two 10 ms frames, is decoded and concealed as one of 20 ms is."""
    encoder, decoder = Encoder(), Decoder()
    encoder._codec.options = {**encoder._codec.options, "frame_duration": "10"}
    heard = []
    for at, frame in enumerate(speech[:100]):
        halves = []
        for half in (frame[: FRAME_BYTES // 2], frame[FRAME_BYTES // 2 :]):
            pcm = encoder._av.AudioFrame(format="s16", layout="mono", samples=480)
            pcm.planes[0].update(half)
            pcm.sample_rate = 48_000
            halves += [bytes(packet) for packet in encoder._codec.encode(pcm)]
        first, second = halves
        # RFC 6716 section 3.2.4: code 2, the length of the first frame, both frames.
        joined = bytes([first[0] | 2, len(first) - 1]) + first[1:] + second[1:]
        heard.append(decoder.conceal() if at == 50 else decoder.decode(joined))
    assert 0 == decoder.rejected
    assert peak(heard[50:51]) > 0
    assert similarity(speech[:100], heard).correlation >= 0.9


def test_noise_from_a_peer_never_raises() -> None:
    """Random bytes of any length give a frame each, whatever they are."""
    source, decoder = random.Random(1), Decoder()
    frames = [decoder.decode(source.randbytes(source.randrange(1, 1500))) for _ in range(500)]
    assert {FRAME_BYTES} == {len(frame) for frame in frames}
    assert 0 < decoder.rejected < 500


def test_reads_44100_stereo(tmp_path: Path) -> None:
    """Both channels of a 44.1 kHz file are mixed to mono at 48 kHz, neither faster nor slower."""
    left = sine(44_100, 1.0)
    both = numpy.stack([left, numpy.zeros_like(left)], axis=1)
    pcm = (both * 32767).astype("<i2").tobytes()
    frames = read_wav(write_wav(tmp_path / "stereo.wav", 44_100, 2, 2, pcm))
    assert 50 == len(frames)
    assert {FRAME_BYTES} == {len(frame) for frame in frames}
    assert pytest.approx(4096, rel=0.03) == peak(frames[10:40])
    assert similarity(list(islice(tone(), 40)), frames).correlation > 0.99


def test_reads_8000_hertz_8_bit(tmp_path: Path) -> None:
    """An 8 kHz 8-bit file is read at its loudness and pitch, its last frame padded."""
    pcm = (sine(8_000, 1.01) * 127 + 128).round().astype("u1").tobytes()
    frames = read_wav(write_wav(tmp_path / "narrow.wav", 8_000, 1, 1, pcm))
    assert 51 == len(frames)
    assert {FRAME_BYTES} == {len(frame) for frame in frames}
    assert pytest.approx(8192, rel=0.05) == peak(frames[10:40])
    sounding = numpy.flatnonzero(numpy.frombuffer(b"".join(frames), "<i2"))
    assert pytest.approx(48_480, abs=24) == int(sounding[-1])
    assert similarity(list(islice(tone(), 45)), frames).correlation > 0.99


@pytest.mark.parametrize(("width", "kind", "full"), [(2, "<i2", 2**15), (4, "<i4", 2**31)])
def test_reads_what_needs_no_resampling(tmp_path: Path, width: int, kind: str, full: int) -> None:
    """A 48 kHz mono file of 16 or 32 bits keeps every sample."""
    samples = (sine(48_000, 0.1) * 32768).round()
    pcm = (samples * (full // 32768)).astype(kind).tobytes()
    frames = read_wav(write_wav(tmp_path / "exact.wav", 48_000, width, 1, pcm))
    assert samples.astype("<i2").tobytes() == b"".join(frames)


def test_samples_are_as_described() -> None:
    """The samples are four to six seconds each and neither silent nor clipped."""
    for name in ("caller", "callee"):
        frames = read_wav(SAMPLES / f"{name}.wav")
        assert 200 <= len(frames) <= 300
        assert 8_000 < peak(frames) < 32_767


def test_refuses_what_is_no_sound(tmp_path: Path) -> None:
    """A file that is missing, a directory, no WAV, cut short or empty gives an AudioError that names it."""
    whole = write_wav(tmp_path / "whole.wav", 8_000, 2, 1, bytes(1600)).read_bytes()
    contents = {
        "empty.wav": b"",
        "text.wav": b"this is a shopping list, not a recording\n" * 40,
        "header.wav": whole[:20],
        "still.wav": write_wav(tmp_path / "still.wav", 8_000, 2, 1, b"").read_bytes(),
        "avi.wav": b"RIFF\x00\x01\x00\x00AVI LIST" + bytes(400),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "missing.wav", ""):
        path = tmp_path / name
        with pytest.raises(AudioError, match=path.name):
            read_wav(path)


def test_damaged_files_never_crash(tmp_path: Path) -> None:
    """A WAV file with random bytes changed is read or refused with an AudioError."""
    whole = write_wav(tmp_path / "whole.wav", 8_000, 2, 1, bytes(800)).read_bytes()
    source, path = random.Random(2), tmp_path / "damaged.wav"
    refused = []
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[source.randrange(48)] = source.randrange(256)
        path.write_bytes(damaged)
        try:
            frames = read_wav(path)
        except AudioError as error:
            refused.append(str(error))
        else:
            assert {FRAME_BYTES} == {len(frame) for frame in frames}
    assert 0 < len(refused) < 200
    assert all("damaged.wav" in each for each in refused)


def test_refuses_a_file_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file longer than the limit is refused rather than held in memory."""
    monkeypatch.setattr(audio_module, "LONGEST_FILE", 1)
    path = write_wav(tmp_path / "long.wav", 8_000, 1, 1, bytes(8_000 * 2))
    with pytest.raises(AudioError, match=r"long\.wav is longer than 1 second"):
        read_wav(path)


def test_writes_what_it_is_given(tmp_path: Path) -> None:
    """A recording reads back as the frames that were written, and close may be called again."""
    path, frames = tmp_path / "out.wav", list(islice(tone(), 5))
    writer = WavWriter(path)
    for frame in frames:
        writer.write(frame)
    writer.close()
    writer.close()
    with wave.open(str(path), "rb") as source:
        assert (1, 2, 48_000, 5 * 960) == source.getparams()[:4]
        assert b"".join(frames) == source.readframes(source.getnframes())


def test_recording_survives_sigkill(tmp_path: Path) -> None:
    """A process killed between two frames, with no chance to close, leaves a valid file of all it wrote."""
    path = tmp_path / "killed.wav"
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom reference.audio import WavWriter\n"
        "writer = WavWriter(Path(sys.argv[1]))\n"
        "for number in range(3): writer.write(bytes([number]) * 1920)\n"
        f"os.kill(os.getpid(), {int(signal.SIGTERM if os.name == 'nt' else signal.SIGKILL)})\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script, str(path)], env=environment, check=False, timeout=60
    )
    assert 0 != ended.returncode
    with wave.open(str(path), "rb") as source:
        assert 3 * 960 == source.getnframes()
        assert b"".join(bytes([number]) * 1920 for number in range(3)) == source.readframes(3 * 960)


def test_recording_is_valid_before_the_first_frame(tmp_path: Path) -> None:
    """A recording that nothing was written to yet is a WAV file without samples."""
    writer = WavWriter(tmp_path / "new.wav")
    with wave.open(str(tmp_path / "new.wav"), "rb") as source:
        assert 0 == source.getnframes()
    writer.close()


def test_recording_needs_a_place(tmp_path: Path) -> None:
    """A missing folder, and a folder as the file, give an AudioError when the writer is made."""
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "none" / "out.wav", tmp_path, tmp_path / "file" / "out.wav"):
        with pytest.raises(AudioError, match=path.name):
            WavWriter(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_is_an_audio_error() -> None:
    """A disk that takes no more gives an AudioError that names the file."""
    with pytest.raises(AudioError, match="/dev/full"):
        WavWriter(Path("/dev/full"))


def test_records_frames_only(tmp_path: Path) -> None:
    """Anything but a frame is our own misuse, and is not written."""
    writer = WavWriter(tmp_path / "out.wav")
    with pytest.raises(Misuse, match="1919"):
        writer.write(bytes(1919))
    writer.close()
    with pytest.raises(AudioError, match="no sound"):
        read_wav(tmp_path / "out.wav")


def test_tone_has_its_pitch_and_no_seams() -> None:
    """Two seconds of 440 Hz are one sine, from one frame to the next as well."""
    pcm = numpy.frombuffer(b"".join(islice(tone(440.0), 100)), "<i2").astype(float)
    spectrum = abs(numpy.fft.rfft(pcm))
    assert 440.0 == spectrum.argmax() / 2
    assert spectrum[880] ** 2 / (spectrum**2).sum() > 0.9999


@pytest.mark.parametrize("hertz", [0.0, -1.0, 24_000.0, math.nan, math.inf])
def test_tone_must_be_a_sound(hertz: float) -> None:
    """A pitch that 48 kHz cannot carry is refused when asked for, not at the first frame."""
    with pytest.raises(Misuse, match=str(hertz)):
        tone(hertz)


def test_same_is_1(speech: list[bytes]) -> None:
    """A recording is exactly like itself, without lag."""
    result = similarity(speech, speech)
    assert pytest.approx(1.0) == result.correlation
    assert 0.0 == result.lag_ms


def test_lag_is_found(speech: list[bytes]) -> None:
    """Silence or other speech before and after does not count, and the lag is told to the sample."""
    late = b"".join([SILENCE] * 60 + speech + [SILENCE] * 30)[96:]
    heard = [late[at : at + FRAME_BYTES] for at in range(0, len(late), FRAME_BYTES)]
    for later, lag in ((heard, 1199.0), (speech[30:90] + speech, 60 * 20.0)):
        result = similarity(speech, later)
        assert pytest.approx(1.0) == result.correlation
        assert lag == result.lag_ms


def test_a_missing_half_counts(speech: list[bytes]) -> None:
    """A recording that lacks a half of what was said is no more than 0.9 like it, whichever half."""
    half = len(speech) // 2
    assert similarity(speech, speech[:half]).correlation < 0.9
    assert similarity(speech, speech[half:]).correlation < 0.9
    assert similarity(speech, speech[:1]).correlation < 0.3


def test_the_opposite_is_not_alike(speech: list[bytes]) -> None:
    """A waveform upside down is not like the original: polarity is part of it."""
    flipped = [(-numpy.frombuffer(frame, "<i2")).astype("<i2").tobytes() for frame in speech]
    assert similarity(speech, flipped).correlation < 0.7


def test_silence_is_like_nothing(speech: list[bytes]) -> None:
    """Silence and nothing at all, on either side, give 0.0 and no warning."""
    for quiet in ([], [SILENCE] * 50):
        assert Similarity(0.0, 0.0) == similarity(speech, quiet)
        assert Similarity(0.0, 0.0) == similarity(quiet, speech)
        assert Similarity(0.0, 0.0) == similarity(quiet, quiet)


class _Stream:
    """A device that a test turns by hand."""

    def __init__(self, callback: Any, **form: object) -> None:  # noqa: ANN401 - as the library has it
        self.callback, self.form, self.state = callback, form, "open"

    def start(self) -> None:
        self.state = "started"

    def close(self) -> None:
        self.state = "closed"


class _PortAudioError(Exception):
    """The library's own error."""


def _refuse(**_: object) -> None:
    raise _PortAudioError("Error querying device -1")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A sound library with hand-turned devices in place of the real one."""
    fake = ModuleType("sounddevice")
    vars(fake).update(PortAudioError=_PortAudioError, RawInputStream=_Stream, RawOutputStream=_Stream)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


@pytest.mark.usefixtures("library")
def test_microphone_gives_the_newest_frames() -> None:
    """Captured frames come out in order, then silence; beyond 200 ms the oldest give way."""
    microphone = Microphone()
    stream: Any = microphone._stream
    expected = {"samplerate": 48_000, "blocksize": 960, "channels": 1, "dtype": "int16"}
    assert (expected, "open") == (stream.form, stream.state)
    microphone.start()
    assert "started" == stream.state
    assert SILENCE == next(iter(microphone))
    for number in range(12):
        stream.callback(memoryview(bytes([number]) * FRAME_BYTES), 960, None, None)
    assert [bytes([number]) * FRAME_BYTES for number in range(2, 12)] == list(islice(microphone, 10))
    assert (SILENCE, 2) == (next(microphone), microphone.dropped)
    microphone.close()
    assert "closed" == stream.state


@pytest.mark.usefixtures("library")
def test_speaker_plays_the_newest_frames() -> None:
    """Written frames are played in order, then silence; beyond 200 ms the oldest give way."""
    speaker = Speaker()
    stream: Any = speaker._stream
    buffer, played = bytearray(FRAME_BYTES), []
    for number in range(1, 13):
        speaker.write(bytes([number]) * FRAME_BYTES)
    for _ in range(11):
        stream.callback(memoryview(buffer), 960, None, None)
        played.append(buffer[0])
    assert ([*range(3, 13), 0], 2) == (played, speaker.dropped)
    with pytest.raises(Misuse, match="5"):
        speaker.write(bytes(5))
    speaker.close()
    assert "closed" == stream.state


def test_no_device_says_what_to_do(library: ModuleType) -> None:
    """Without a device the error names what is missing and what to use instead."""
    vars(library).update(RawInputStream=_refuse, RawOutputStream=_refuse)
    with pytest.raises(AudioError, match=r"no microphone .*there is none; send a file with --send FILE\.wav"):
        Microphone()
    with pytest.raises(AudioError, match=r"no speaker .*there is none; .* --record FILE\.wav"):
        Speaker()


def test_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a library of the extra the module is there, and its use says what to install."""
    for name in ("av", "numpy", "sounddevice"):
        monkeypatch.setitem(sys.modules, name, None)
    for use in (Encoder, Decoder, tone, Microphone, Speaker, lambda: read_wav(SAMPLES / "caller.wav")):
        with pytest.raises(AudioMissing, match=r"directcall\[audio\]"):
            use()


def test_importing_needs_no_extra() -> None:
    """Importing the module imports none of the libraries."""
    script = "import sys, reference.audio; print(sorted({'av', 'numpy', 'sounddevice'} & set(sys.modules)))"
    ended = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "[]" == ended.stdout.strip()
