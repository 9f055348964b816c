"""Talk: the audio of one call, 20 ms at a time (spec/media.md, The sender).

One turn takes one frame from the source to the sender and one from the playout buffer to the recording and
the speaker.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from reference.audio import WavWriter, read_wav, tone
from reference.clock import Pace
from reference.core import media
from reference.core.playout import Playout
from reference.devices import Microphone, Speaker
from reference.opus import SILENCE, AudioError, Decoder, Encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reference.opus import Frame
    from reference.voice import Speak

DELAY, LONGEST = 60, 1000
"""Milliseconds that sound is held back unless something else is asked for, and at most."""


@dataclass(frozen=True, slots=True)
class AudioPlan:
    """What a call sends and where it goes: `send` is none, tone, mic or a WAV file, already checked.

    `playout_delay` is how long, in ms, sound is held back, so that what comes late can still be played.
    """

    send: str = "none"
    record: Path | None = None
    speaker: bool = False
    playout_delay: int = DELAY
    frames: tuple[Frame, ...] = field(default=(), repr=False)

    @classmethod
    def checked(cls, send: str, record: Path | None, playout_delay: int, *, speaker: bool) -> AudioPlan:
        """Read the file and try the devices before a call is placed; raises AudioError."""
        frames: tuple[Frame, ...] = ()
        if send != "none" or record is not None or speaker:
            Encoder(), Decoder()  # what is missing is told now, and loading takes a while
        if send == "mic":
            Microphone().close()
        elif send not in {"none", "tone"}:
            frames = tuple(read_wav(Path(send)))
        if speaker:
            Speaker().close()
        if record is not None:
            WavWriter(record).close()
        return cls(send, record, speaker, playout_delay, frames)


class Talk:
    """The audio of one call while it lasts.

    `speak` sends a payload, or lets a frame's time pass for None; `fail` hears why there is no more audio.
    """

    def __init__(self, plan: AudioPlan, speak: Speak, fail: Callable[[str], None]) -> None:
        """Open what codecs the plan needs, and the recording; raises AudioError."""
        self.playout = Playout(max(1, plan.playout_delay // media.FRAME_MS))
        self.sent = 0
        self.unheard = 0  # frames' times since the last datagram of the other end
        self.finished = asyncio.Event()
        self._speak = speak
        self._fail = fail
        self._plan = plan
        self._encoder = None if plan.send == "none" else Encoder()
        if self._encoder is not None:
            self._encoder.encode(SILENCE)  # a codec's first frame costs it most; nobody waits for this one
        self._decoder = Decoder() if plan.record is not None or plan.speaker else None
        self._recording = None if plan.record is None else WavWriter(plan.record)
        self._speaker: Speaker | None = None
        self._microphone: Microphone | None = None
        self._source: Iterator[Frame] = iter(())
        self.ready = False
        self._pace = Pace(self._turn)

    def prepare(self) -> None:
        """Open the devices, which takes a while; nothing is captured before `start`; raises AudioError."""
        if self.ready or self._pace.stopped:
            return
        self._speaker = Speaker() if self._plan.speaker else None
        self._microphone = Microphone() if self._plan.send == "mic" else None
        self._source = self._open(self._plan)
        self.ready = True

    def start(self) -> None:
        """Begin the first turn now; a second time, after a rejoin, does nothing; raises AudioError."""
        if self._pace.started or self._pace.stopped:
            return
        self.prepare()
        for device in (self._speaker, self._microphone):
            if device is not None:
                device.start()
        self._pace.start()

    def hear(self, datagram: bytes) -> None:
        """Take in one datagram of the other end; what is no audio of ours is left out."""
        if media.unfit(datagram):
            return
        self.unheard = 0
        header, payload, _ = media.split(datagram)
        if header.repair:
            return
        noise = header.codec == media.Codec.COMFORT_NOISE  # it has a number, and nothing to decode
        self.playout.insert(header.sequence, header.timestamp, b"" if noise else payload)

    def close(self) -> dict[str, float]:
        """Stop the turns, close recording and devices; return counts by name, if the call was set up.

        They are packets, and `unheard`: seconds for which nothing had come when it ended.
        """
        self._pace.stop()
        for thing in (self._recording, self._speaker, self._microphone):
            if thing is not None:
                thing.close()
        counts: dict[str, float] = {"sent": self.sent, "received": self.playout.received}
        counts |= {"lost": self.playout.lost, "unheard": round(self.unheard * media.FRAME_MS / 1000, 1)}
        return counts if self.ready else {}

    def _open(self, plan: AudioPlan) -> Iterator[Frame]:
        if self._microphone is not None:
            return self._microphone
        return tone() if plan.send == "tone" else iter(plan.frames)

    def _turn(self) -> None:
        self.unheard += 1
        try:
            self._say()
            self._play()
        except AudioError as error:  # a full disk, a codec: the call cannot go on without
            self._pace.stop()
            self._fail(str(error))

    def _say(self) -> None:
        frame = next(self._source, None)
        if frame is None or self._encoder is None:
            self.finished.set()
            self._speak(None)
            return
        self._speak(self._encoder.encode(frame))

    def _play(self) -> None:
        played = self.playout.take()
        if not played.started or self._decoder is None:
            return
        frame = self._decoder.decode(played.payload) if played.payload else self._decoder.conceal()
        if self._recording is not None:
            self._recording.write(frame)
        if self._speaker is not None:
            self._speaker.write(frame)
