// Wire: frames, strict JSON, and the shapes of what a client of phase 0 hears (spec/wire.md).
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
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

// first hands on the payload of the first frame of a stream, or nil; what is behind it is discarded.
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

// A pair of surrogates, a lone one, and any other escape.
var escape = regexp.MustCompile(`\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u[dD][89a-fA-F]|\\.`)

// parse returns a message that is well-formed (WIRE-4), not too full (WIRE-16) and of its shape (WIRE-5), or no
// body.
func parse(payload []byte) (string, members) {
	lone := func(found []byte) bool { return len(found) == len(`\ud8`) }
	var parsed members
	levels, parts, colons := scan(payload)
	if !utf8.Valid(payload) || slices.ContainsFunc(escape.FindAll(payload, -1), lone) || levels > 64 ||
		parts > 16384 || json.Unmarshal(payload, &parsed) != nil || colons != count(parsed) || len(parsed) != 1 {
		return "", nil
	}
	for name, body := range parsed {
		if body, ok := body.(members); ok && fits(name, body) {
			return name, body
		}
	}
	return "", nil
}

// scan returns how many levels are open at once, how many members and entries there are, and how many colons
// stand outside of strings.
func scan(payload []byte) (most, parts, colons int) {
	levels, text, opened := 0, false, false
	for place := 0; place < len(payload); place++ {
		octet := payload[place]
		if opened && bytes.IndexByte([]byte(" \t\r\n"), octet) < 0 {
			opened = false
			if octet != '}' && octet != ']' {
				parts++
			}
		}
		switch {
		case octet == '"':
			text = !text
		case text && octet == '\\':
			place++
		case text:
		case octet == ':':
			colons++
		case octet == ',':
			parts++
		case octet == '{' || octet == '[':
			opened = true
			levels++
			most = max(most, levels)
		case octet == '}' || octet == ']':
			levels--
		}
	}
	return most, parts, colons
}

// count returns the members of a value at every depth: fewer than colons, if one came twice.
func count(value any) (found int) {
	switch value := value.(type) {
	case members:
		for _, one := range value {
			found += 1 + count(one)
		}
	case []any:
		for _, one := range value {
			found += count(one)
		}
	}
	return found
}

// fits tells whether the accept view of phase 0 takes a message, of those that a client acts on.
func fits(name string, b members) bool {
	switch name {
	case "RegisterPresenceAck":
		_, known := b["success"].(bool)
		return known && (b["error"] == nil || text(b["error"], 1024))
	case "DirectCallOffer":
		return text(b["caller_fingerprint"], 255) && text(b["target_fingerprint"], 255) &&
			(b["caller_alias"] == nil || text(b["caller_alias"], 255)) && word(b["call_id"], callID) &&
			key(b["identity_pub"]) && key(b["ephemeral_pub"]) && list(b["signature"], octet) &&
			list(b["supported_profiles"], profile)
	case "DirectCallAnswer":
		return word(b["call_id"], callID) && word(b["accept_mode"], mode) &&
			(b["identity_pub"] == nil || key(b["identity_pub"])) &&
			(b["ephemeral_pub"] == nil || key(b["ephemeral_pub"])) &&
			(b["signature"] == nil || list(b["signature"], octet)) &&
			(b["chosen_profile"] == nil || profile(b["chosen_profile"]))
	case "CallSetup":
		return word(b["call_id"], callID) && text(b["room"], 63) && text(b["relay_addr"], 255)
	case "CallRinging":
		return word(b["call_id"], callID)
	case "Hangup":
		return word(b["reason"], reason)
	case "CallAnswer":
		return key(b["identity_pub"]) && key(b["ephemeral_pub"]) && list(b["signature"], octet) &&
			profile(b["chosen_profile"])
	case "RoomUpdate":
		return whole(b["count"], 1<<32-1) && list(b["participants"], participant)
	}
	return false
}

var (
	callID = regexp.MustCompile(`\A[a-z0-9-]{1,58}\z`)
	mode   = regexp.MustCompile(`\A(Reject|AcceptTrusted|AcceptGeneric)\z`)
	reason = regexp.MustCompile(`\A(Normal|Busy|Declined|Timeout|Error)\z`)
	codec  = regexp.MustCompile(`\A(Opus(6|16|24|32|48|64)k|Codec2_(12|32)00|ComfortNoise)\z`)
)

func word(v any, pattern *regexp.Regexp) bool {
	s, ok := v.(string)
	return ok && pattern.MatchString(s)
}
func text(v any, most int) bool { s, ok := v.(string); return ok && utf8.RuneCountInString(s) <= most }
func whole(v any, most float64) bool {
	n, ok := v.(float64)
	return ok && n >= 0 && n <= most && n == math.Trunc(n)
}
func octet(v any) bool { return whole(v, 255) }
func key(v any) bool   { return list(v, octet) && len(v.([]any)) == 32 }

func list(v any, fits func(any) bool) bool {
	found, ok := v.([]any)
	return ok && !slices.ContainsFunc(found, func(one any) bool { return !fits(one) })
}

func profile(v any) bool {
	p, _ := v.(members)
	ratio, ok := p["fec_ratio"].(float64)
	return ok && ratio >= 0 && word(p["codec"], codec) &&
		octet(p["frame_duration_ms"]) && octet(p["frames_per_block"])
}

func participant(v any) bool {
	p, _ := v.(members)
	return text(p["fingerprint"], 255) && (p["alias"] == nil || text(p["alias"], 255)) &&
		(p["relay_label"] == nil || text(p["relay_label"], 255))
}
