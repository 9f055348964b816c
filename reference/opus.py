"""Opus (spec/media.md; RFC 6716): the frame, the errors of audio, and the codec between frames and packets.

The rules of this file:

- One unit everywhere: a frame, 20 ms of 48 kHz mono 16-bit little-endian PCM, 1920 plain bytes.
- The libraries are the optional extra `audio`, imported when something is used: this module always imports.
- What a peer sends never raises: a packet that is not 20 ms of Opus is concealed like a lost one and counted.
"""

from __future__ import annotations

import importlib
from typing import Any, TypeAlias

from reference.core.errors import DirectCallError, Misuse

Frame: TypeAlias = bytes
"""20 ms of 48 kHz mono 16-bit little-endian PCM: FRAME_BYTES bytes."""

SAMPLE_RATE = 48_000
FRAME_SAMPLES = 960
FRAME_BYTES = 1920
FRAME_MILLISECONDS = 20
SILENCE: Frame = bytes(FRAME_BYTES)
BIT_RATE = 24_000
LONGEST_PACKET = 1276
"""Bytes; one byte of contents and one frame of at most 1275 (RFC 6716 section 3.4)."""

FIRST_HYBRID, FIRST_CELT = 12, 16
"""The configurations are of SILK, then hybrid, then CELT (RFC 6716 section 3.1, table 2)."""

CONCEALED_FRAMES = 10
"""How many lost frames in a row (200 ms) are filled with what was last heard, fading, before silence."""


class AudioError(DirectCallError):
    """A file or a device cannot be used; the text names it and says why."""


class AudioMissing(AudioError):  # noqa: N818 - the name says what is wrong
    """A library of the optional extra `audio` is not installed; the text says what to install."""


def reason(error: Exception) -> str:
    """Return what a system or a library says of an error, as a part of our own sentence."""
    said = str(getattr(error, "strerror", None) or error)
    return f"{said[:1].lower()}{said[1:]}"


def library(name: str) -> Any:  # noqa: ANN401 - modules of an optional extra have no static type
    """Import a library of the extra; AudioMissing says what to install."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise AudioMissing(f"{name} is not installed; pip install 'directcall[audio]'") from error
    except OSError as error:
        raise AudioMissing(
            f"{name} does not load ({reason(error)}); install the PortAudio library"
        ) from error


def whole(frame: Frame) -> Frame:
    """Give the frame back; Misuse if it is not one."""
    if len(frame) != FRAME_BYTES:
        raise Misuse(f"a frame is {FRAME_BYTES} bytes, not {len(frame)}")
    return frame


def frames_in(packet: bytes) -> int:
    """Count the codec's frames in a packet of 20 ms; 0 if it is no such packet (RFC 6716 section 3.1)."""
    if not 0 < len(packet) <= LONGEST_PACKET:
        return 0
    configuration, code = packet[0] >> 3, packet[0] & 3
    if configuration < FIRST_HYBRID:
        milliseconds = (10.0, 20.0, 40.0, 60.0)[configuration % 4]
    elif configuration < FIRST_CELT:
        milliseconds = (10.0, 20.0)[configuration % 2]
    else:
        milliseconds = (2.5, 5.0, 10.0, 20.0)[configuration % 4]
    several = packet[1] & 0x3F if len(packet) > 1 else 0
    frames = (1, 2, 2, several)[code]
    return frames if frames * milliseconds == FRAME_MILLISECONDS else 0


def samples_of(decoded: Any) -> bytes:  # noqa: ANN401 - an av.AudioFrame
    """Give the samples of a decoded mono 16-bit frame; its plane may be padded."""
    return bytes(decoded.planes[0])[: 2 * decoded.samples]


class Encoder:
    """Opus at 24 kbit/s, 48 kHz mono, one packet a frame (RFC 6716; profile GOOD of spec/media.md)."""

    def __init__(self) -> None:
        """Open the codec; AudioMissing without the extra."""
        self._av = library("av")
        self._codec = self._av.CodecContext.create("libopus", "w")
        self._codec.sample_rate, self._codec.layout, self._codec.format = SAMPLE_RATE, "mono", "s16"
        self._codec.bit_rate = BIT_RATE
        # "audio" keeps the waveform closest to what was said, and that is what the checks compare.
        self._codec.options = {"application": "audio", "frame_duration": "20"}
        self._position = 0

    def encode(self, pcm: Frame) -> bytes:
        """Give the one Opus packet of a frame; Misuse if it is not a frame."""
        frame = self._av.AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        frame.planes[0].update(whole(pcm))
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._position
        self._position += FRAME_SAMPLES
        (packet,) = self._codec.encode(frame)
        return bytes(packet)


class Decoder:
    """Opus packets to frames; `rejected` counts the packets that were not 20 ms of Opus."""

    def __init__(self) -> None:
        """Open the codec; AudioMissing without the extra."""
        self._av, self._numpy = library("av"), library("numpy")
        self._codec = self._av.CodecContext.create("libopus", "r")
        self._codec.sample_rate, self._codec.layout = SAMPLE_RATE, "mono"
        self._repeat = b""
        self._concealed = CONCEALED_FRAMES
        self.rejected = 0

    def decode(self, packet: bytes) -> Frame:
        """Give the frame of a packet; one that is not 20 ms of Opus sounds like a lost one."""
        frame = self._try(packet)
        if frame is None:
            self.rejected += 1
            return self.conceal()
        # Empty frames are lost ones to the codec (RFC 6716 section 3.2.1); code 3 tells how many.
        self._repeat, self._concealed = bytes([packet[0] | 3, frames_in(packet)]), 0
        return frame

    def conceal(self) -> Frame:
        """Give what stands in for a lost frame: the codec's own guess, fading over 200 ms, then silence."""
        if self._concealed >= CONCEALED_FRAMES:
            return SILENCE
        gains = self._numpy.linspace(1.0, 0.0, CONCEALED_FRAMES + 1)[self._concealed :]
        slope = self._numpy.linspace(gains[0], gains[1], FRAME_SAMPLES)
        faded = self._numpy.frombuffer(self._try(self._repeat) or SILENCE, "<i2") * slope
        self._concealed += 1
        return bytes(faded.astype("<i2").tobytes())

    def _try(self, packet: bytes) -> Frame | None:
        """Decode, or None if that gives no frame; what is refused beforehand does not disturb the codec."""
        if not frames_in(packet):
            return None
        try:
            pcm = b"".join(samples_of(part) for part in self._codec.decode(self._av.Packet(packet)))
        except self._av.FFmpegError:
            return None
        return pcm if len(pcm) == FRAME_BYTES else None
