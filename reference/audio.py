"""Audio (spec/media.md): WAV files, a tone, and how alike two recordings are; the door to all that is sound.

The rules of this file:

- Frames in, frames out; a source is an iterator of frames, a sink has `write` and `close`.
- What is wrong with a file, a device or the installation is an AudioError, in one sentence for the user.
- What is read from a file is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from math import pi
from pathlib import Path

from reference.core.errors import Misuse
from reference.devices import Microphone, Speaker
from reference.opus import (
    FRAME_BYTES,
    FRAME_SAMPLES,
    SAMPLE_RATE,
    SILENCE,
    AudioError,
    AudioMissing,
    Decoder,
    Encoder,
    Frame,
    library,
    reason,
    samples_of,
    whole,
)

__all__ = [
    "FRAME_BYTES",
    "SILENCE",
    "AudioError",
    "AudioMissing",
    "Decoder",
    "Encoder",
    "Frame",
    "Microphone",
    "Similarity",
    "Speaker",
    "WavWriter",
    "read_wav",
    "similarity",
    "tone",
]

LONGEST_FILE = 3600
"""Seconds that are read from one file."""

HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
"""RIFF, size, WAVE; fmt, its size, PCM, channels, rate, bytes a second and a sample, bits; data, its size."""

LOUDNESS = 8192
"""Peak of the tone, a quarter of full scale."""


def read_wav(path: Path) -> list[Frame]:
    """Read a WAV file of any rate, width and channels as frames, the last one padded.

    AudioError names the file and the reason if it is no WAV file, holds no sound, or more than an hour of it.
    """
    av = library("av")
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    pcm = bytearray()
    try:
        with path.open("rb") as stream, av.open(stream, mode="r", format="wav") as container:
            for decoded in container.decode(audio=0):
                pcm += b"".join(map(samples_of, resampler.resample(decoded)))
                if len(pcm) > LONGEST_FILE * SAMPLE_RATE * 2:
                    raise AudioError(f"{path} is longer than {LONGEST_FILE} seconds")
        pcm += b"".join(map(samples_of, resampler.resample(None)))
    except (OSError, av.FFmpegError, IndexError) as error:
        raise AudioError(f"{path} cannot be read as a WAV file: {reason(error)}") from error
    if not pcm:
        raise AudioError(f"{path} holds no sound")
    pcm += bytes(-len(pcm) % FRAME_BYTES)
    return [bytes(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm), FRAME_BYTES)]


class WavWriter:
    """A 48 kHz mono 16-bit WAV file; its header is brought up to date with every frame.

    Nothing is held back, so that the file is valid however the process ends, SIGKILL included.
    """

    def __init__(self, path: Path) -> None:
        """Create the file with its header; AudioError if that cannot be."""
        self._path = path
        self._size = 0
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise AudioError(f"{path} cannot be written: {reason(error)}") from error
        try:
            self._append(b"")
        except AudioError:
            self._file.close()
            raise

    def write(self, frame: Frame) -> None:
        """Append one frame; AudioError when the disk is full, or the file (12 hours)."""
        self._append(whole(frame))

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._file.close()

    def _append(self, pcm: bytes) -> None:
        size = self._size + len(pcm)
        try:
            form = (b"fmt ", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
            header = HEADER.pack(b"RIFF", HEADER.size - 8 + size, b"WAVE", *form, b"data", size)
            # The sound first: until the header tells of it, it is not there.
            for place, content in ((HEADER.size + self._size, pcm), (0, header)):
                self._file.seek(place)
                if self._file.write(content) != len(content):
                    raise AudioError(f"{self._path} cannot be written: no space left")
        except (OSError, struct.error) as error:
            raise AudioError(f"{self._path} cannot be written: {reason(error)}") from error
        self._size = size


def tone(hertz: float = 440.0) -> Iterator[Frame]:
    """Give frames of a sine without end; Misuse unless 0 < hertz < 24000."""
    if not 0 < hertz < SAMPLE_RATE / 2:
        raise Misuse(f"{hertz} Hz cannot be sampled at {SAMPLE_RATE} Hz")
    numpy = library("numpy")
    step, within = 2 * pi * hertz / SAMPLE_RATE, numpy.arange(FRAME_SAMPLES)
    starts = count(0, FRAME_SAMPLES)
    return ((LOUDNESS * numpy.sin(step * (within + start))).astype("<i2").tobytes() for start in starts)


@dataclass(frozen=True, slots=True)
class Similarity:
    """How alike two recordings are: from 0.0, nothing in common, to 1.0, the same waveform.

    `lag_ms` is how much later than in `sent` it stands in `heard`.
    """

    correlation: float
    lag_ms: float


def similarity(sent: list[Frame], heard: list[Frame]) -> Similarity:
    """Give the highest normalised cross-correlation of the whole of `sent` with a stretch of `heard` as long.

    What is missing from `heard` counts against it, what it has before and after does not.
    Silence is like nothing at all.
    """
    numpy = library("numpy")
    said, got = (numpy.frombuffer(b"".join(frames), "<i2").astype(float) for frames in (sent, heard))
    size = len(said) + len(got)
    if not (said.any() and got.any()):
        return Similarity(0.0, 0.0)
    spectrum = numpy.fft.rfft(got, size) * numpy.fft.rfft(said, size).conj()
    lags = numpy.arange(1 - len(said), len(got))
    products = numpy.fft.irfft(spectrum, size)[lags]
    energy = numpy.concatenate(([0.0], numpy.cumsum(got**2)))
    window = energy[(lags + len(said)).clip(0, len(got))] - energy[lags.clip(0, len(got))]
    norms = numpy.sqrt((said @ said) * window)
    ratios = numpy.divide(products, norms, out=numpy.zeros_like(products), where=norms > 0)
    best = int(ratios.argmax())
    return Similarity(float(ratios[best].clip(0.0, 1.0)), float(lags[best]) * 1000 / SAMPLE_RATE)
