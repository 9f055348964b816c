"""Devices (spec/media.md): the microphone and the speaker of this machine.

The rules of this file:

- Device and call run at clocks of their own: between them is a bounded queue; its oldest frames give way.
- Nothing here blocks: an empty queue gives silence.
- A machine without a device gives an AudioError that says what to do instead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from reference.opus import FRAME_SAMPLES, SAMPLE_RATE, SILENCE, AudioError, Frame, library, reason, whole

DEVICE_FRAMES = 10
"""Frames (200 ms) that wait between a device and us."""


NONE = "device -1"
"""How the library names the default device where there is none."""

NAMES = {"Input": "microphone", "Output": "speaker"}


class _Device:
    """A stream of the default device and its queue; `dropped` counts frames that gave way."""

    def __init__(self, kind: str, advice: str, callback: Callable[..., None]) -> None:
        """Open `kind` ("Input" or "Output"); AudioError with the advice if there is none."""
        sounddevice = library("sounddevice")
        self.dropped = 0
        self._queue: deque[Frame] = deque(maxlen=DEVICE_FRAMES)
        form = {"samplerate": SAMPLE_RATE, "blocksize": FRAME_SAMPLES, "channels": 1, "dtype": "int16"}
        try:
            self._stream = getattr(sounddevice, f"Raw{kind}Stream")(callback=callback, **form)
        except (sounddevice.PortAudioError, ValueError) as error:
            why = "there is none" if NONE in str(error) else reason(error)
            raise AudioError(f"no {NAMES[kind]} can be used: {why}; {advice}") from error
        self._refused = sounddevice.PortAudioError

    def start(self) -> None:
        """Let the device run, which was open and idle before; AudioError when it does not."""
        try:
            self._stream.start()
        except self._refused as error:
            raise AudioError(f"an audio device does not start: {reason(error)}") from error

    def close(self) -> None:
        """Stop the device; a second time does nothing."""
        self._stream.close()

    def _put(self, frame: Frame) -> None:
        self.dropped += len(self._queue) == DEVICE_FRAMES
        self._queue.append(frame)


class Microphone(_Device):
    """The default input device, an iterator of frames without end that never blocks."""

    def __init__(self) -> None:
        """Open it, and capture nothing yet; AudioError without a device, AudioMissing without the extra."""
        super().__init__("Input", "send a file with --send FILE.wav", self._captured)

    def __iter__(self) -> Iterator[Frame]:
        """Give itself."""
        return self

    def __next__(self) -> Frame:
        """Give the oldest captured frame, or silence when none waits."""
        return self._queue.popleft() if self._queue else SILENCE

    def _captured(self, pcm: Any, *_: object) -> None:  # noqa: ANN401 - a buffer of the device's library
        self._put(bytes(pcm))


class Speaker(_Device):
    """The default output device; it plays silence when nothing waits."""

    def __init__(self) -> None:
        """Open it, and play nothing yet; AudioError without a device, AudioMissing without the extra."""
        super().__init__("Output", "keep what is heard with --record FILE.wav", self._due)

    def write(self, frame: Frame) -> None:
        """Queue one frame and return at once."""
        self._put(whole(frame))

    def _due(self, pcm: Any, *_: object) -> None:  # noqa: ANN401 - a buffer of the device's library
        pcm[:] = self._queue.popleft() if self._queue else SILENCE
