// Wire: frames, strict JSON, and the shapes of what a client of phase 0 hears (spec/wire.md).
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/quic-go/quic-go"
)

type members = map[string]any

// send puts a message on a stream of its own; the channel is closed when the other end has seen it.
func send(conn *quic.Conn, name string, body members) <-chan struct{} {
	seen := make(chan struct{})
	payload, _ := json.Marshal(members{name: body})
	stream, err := conn.OpenStream()
	if err != nil { // who grants no stream is as good as gone
		conn.CloseWithError(0, "no stream for "+name)
		close(seen)
		return seen
	}
	stream.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...))
	stream.Close()
	go func() {
		io.Copy(io.Discard, stream) // the other end ends its half of every stream (TRANS-11)
		close(seen)
	}()
	return seen
}

// receive hands on the messages of a connection in the order of their streams; it returns why that is lost.
func receive(conn *quic.Conn, patience time.Duration, heard func(name string, body members)) error {
	frames := make(chan chan []byte, 100)
	go func() {
		defer close(frames)
		for {
			stream, err := conn.AcceptStream(context.Background())
			if err != nil {
				return
			}
			stream.Close()
			frame := make(chan []byte, 1)
			frames <- frame
			go first(stream, time.Now().Add(patience), frame)
		}
	}()
	for frame := range frames {
		if name, body := parse(<-frame); body != nil {
			heard(name, body)
		}
	}
	<-conn.Context().Done()
	return context.Cause(conn.Context())
}

// first hands on the payload of the first frame of a stream, or nil, and discards what is behind it (TRANS-12).
func first(stream *quic.Stream, deadline time.Time, frame chan<- []byte) {
	stream.SetReadDeadline(deadline)
	var length uint32
	if binary.Read(stream, binary.BigEndian, &length) == nil && length <= 1<<20 {
		payload := make([]byte, length)
		if _, err := io.ReadFull(stream, payload); err == nil {
			frame <- payload
			stream.SetReadDeadline(time.Time{})
			io.Copy(io.Discard, stream)
			return
		}
	}
	stream.CancelRead(0)
	frame <- nil
}

var errMalformed = errors.New("the payload is malformed")
var escape = regexp.MustCompile(`\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u[dD][89a-fA-F]|\\.`)

// parse returns a message that is well-formed (WIRE-4) and of its shape (WIRE-5), or no body.
func parse(payload []byte) (string, members) {
	loneSurrogate := func(found []byte) bool { return len(found) == 4 } // no pair, and no other escape
	if !utf8.Valid(payload) || !json.Valid(payload) ||
		slices.ContainsFunc(escape.FindAll(payload, -1), loneSurrogate) {
		return "", nil
	}
	parsed, err := value(json.NewDecoder(bytes.NewReader(payload)), 64)
	if message, _ := parsed.(members); err == nil && len(message) == 1 {
		for name, body := range message {
			if fits, known := shapes[name]; known && fits(body) {
				return name, body.(members)
			}
		}
	}
	return "", nil
}

// value reads a value that has at most so many levels, no member twice and no number that is too large.
func value(decoder *json.Decoder, levels int) (any, error) {
	token, err := decoder.Token()
	opened, nested := token.(json.Delim)
	if err != nil || !nested {
		return token, err
	}
	found, elements := members{}, []any{}
	for decoder.More() {
		var name any
		if opened == '{' {
			name, _ = decoder.Token()
			if _, twice := found[name.(string)]; twice {
				return nil, errMalformed
			}
		}
		one, err := value(decoder, levels-1)
		if err != nil {
			return nil, err
		}
		if opened == '{' {
			found[name.(string)] = one
		} else {
			elements = append(elements, one)
		}
	}
	decoder.Token()
	switch {
	case levels == 0:
		return nil, errMalformed
	case opened == '{':
		return found, nil
	}
	return elements, nil
}

// A shape tells whether the accept view of phase 0 allows a value; one that is absent is nil.
type shape func(any) bool

type object map[string]shape

func (known object) fits(v any) bool {
	found, ok := v.(members)
	for name, fits := range known {
		ok = ok && fits(found[name])
	}
	return ok
}

func list(least, most int, fits shape) shape {
	return func(v any) bool {
		found, ok := v.([]any)
		misfit := func(one any) bool { return !fits(one) }
		return ok && least <= len(found) && len(found) <= most && !slices.ContainsFunc(found, misfit)
	}
}

func text(pattern string) shape {
	wanted := regexp.MustCompile(`(?s)\A(` + pattern + `)\z`)
	return func(v any) bool { found, ok := v.(string); return ok && wanted.MatchString(found) }
}

func words(most int) shape {
	return func(v any) bool { found, ok := v.(string); return ok && utf8.RuneCountInString(found) <= most }
}

func number(most float64, fraction bool) shape {
	return func(v any) bool {
		found, ok := v.(float64)
		return ok && 0 <= found && found <= most && (fraction || found == math.Trunc(found))
	}
}

func maybe(fits shape) shape { return func(v any) bool { return v == nil || fits(v) } }

func flag(v any) bool { _, ok := v.(bool); return ok }

var (
	octet, name       = number(255, false), words(255)
	key, octets       = list(32, 32, octet), list(0, 1<<20, octet)
	callID            = text("[a-z0-9-]{1,58}")
	codec             = text("Opus(6|16|24|32|48|64)k|Codec2_(12|32)00|ComfortNoise")
	profile     shape = object{"codec": codec, "fec_ratio": number(math.MaxFloat64, true),
		"frame_duration_ms": octet, "frames_per_block": octet}.fits
	shapes = map[string]shape{
		"RegisterPresenceAck": object{"success": flag, "error": maybe(words(1024))}.fits,
		"DirectCallOffer": object{"caller_fingerprint": name, "caller_alias": maybe(name),
			"target_fingerprint": name, "call_id": callID, "identity_pub": key, "ephemeral_pub": key,
			"signature": octets, "supported_profiles": list(0, 1<<20, profile)}.fits,
		"DirectCallAnswer": object{"call_id": callID, "accept_mode": text("Reject|Accept(Trusted|Generic)"),
			"identity_pub": maybe(key), "ephemeral_pub": maybe(key), "signature": maybe(octets),
			"chosen_profile": maybe(profile)}.fits,
		"CallSetup":   object{"call_id": callID, "room": words(63), "relay_addr": name}.fits,
		"CallRinging": object{"call_id": callID}.fits,
		"Hangup":      object{"reason": text("Normal|Busy|Declined|Timeout|Error")}.fits,
		"CallAnswer": object{"identity_pub": key, "ephemeral_pub": key, "signature": octets,
			"chosen_profile": profile}.fits,
		"RoomUpdate": object{"count": number(1<<32-1, false), "participants": list(0, 1<<20,
			object{"fingerprint": name, "alias": maybe(name), "relay_label": maybe(name)}.fits)}.fits,
	}
)
