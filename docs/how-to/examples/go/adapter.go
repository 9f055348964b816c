// The adapter: presses the client's buttons for the suite, and tells what comes of it.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
)

type request struct {
	ID, Do      any
	Relay, Seed string
	Fingerprint string
	Token       string
	Timers      float64
	Target      string
	CallID      string `json:"call_id"`
	Mode        string
	N           int
	EveryMS     int `json:"every_ms"`
}

var (
	hello = members{"control": 1, "name": "example-go", "version": "1", "roles": []string{"client"},
		"phase": "0", "features": []string{"fingerprint", "media", "timers", "token"}}
	person         = regexp.MustCompile(`^[0-9a-f]{4}(:[0-9a-f]{4}){7}$`)
	modes          = []string{"AcceptTrusted", "AcceptGeneric", "Reject"}
	errUnsupported = errors.New("is no request that this adapter knows")
)

type adapter struct {
	client *Client
	steps  chan func()
	told   []members // events that stand behind the reply to come
}

func (a *adapter) fresh() {
	a.client = &Client{Steps: a.steps, Tell: func(event string, told members) {
		told["event"] = event
		a.told = append(a.told, told)
	}}
}

func (a *adapter) flush() {
	for _, event := range a.told {
		say(event)
	}
	a.told = nil
}

func (a *adapter) press(do string, asked request) (members, error) {
	switch do {
	case "hello":
		return hello, nil
	case "configure":
		return members{}, a.configure(asked)
	case "register":
		return members{}, a.client.Register()
	case "call":
		if !person.MatchString(asked.Target) {
			return nil, fmt.Errorf("the target %q is no fingerprint", asked.Target)
		}
		return members{}, a.client.Place(asked.Target)
	case "answer":
		if !slices.Contains(modes, asked.Mode) {
			return nil, fmt.Errorf("the mode %q is none of %q", asked.Mode, modes)
		}
		return members{}, a.client.Answer(asked.CallID, asked.Mode)
	case "hangup":
		return members{}, a.client.Hangup()
	case "send":
		if asked.N < 1 || asked.N > 1000 || asked.EveryMS < 20 || asked.EveryMS%20 != 0 {
			return nil, fmt.Errorf("%d frames, one in %d ms, cannot be sent", asked.N, asked.EveryMS)
		}
		return members{}, a.client.Send(asked.N, asked.EveryMS)
	case "state":
		return a.client.State(), nil
	case "reset", "bye":
		a.client.Leave()
		a.flush()
		a.fresh()
		return members{}, nil
	}
	return nil, errUnsupported
}

func (a *adapter) configure(asked request) error {
	seed, err := hex.DecodeString(asked.Seed)
	if err != nil || len(seed) != 32 {
		return fmt.Errorf("the seed %q is not 64 hex digits", asked.Seed)
	}
	if _, err := netip.ParseAddrPort(asked.Relay); err != nil {
		return fmt.Errorf("the relay %q is no address: %w", asked.Relay, err)
	}
	if asked.Timers < 0.01 || asked.Timers > 1 {
		return fmt.Errorf("timers is %g, not 0.01 to 1", asked.Timers)
	}
	return a.client.Configure(asked.Relay, seed, asked.Fingerprint, asked.Token, asked.Timers)
}

func (a *adapter) reply(line []byte) (last bool) {
	asked := request{Timers: 1}
	err := json.Unmarshal(line, &asked)
	id, numbered := asked.ID.(float64)
	do, named := asked.Do.(string)
	if !numbered || !named {
		return false // no request, no reply
	}
	ok := members{}
	if err == nil {
		ok, err = a.press(do, asked)
	}
	switch {
	case err == errUnsupported:
		say(members{"id": id, "unsupported": fmt.Sprintf("%q %s", do, err)})
	case err != nil:
		say(members{"id": id, "error": err.Error()})
	default:
		say(members{"id": id, "ok": ok})
	}
	return do == "bye"
}

func say(line members) { json.NewEncoder(os.Stdout).Encode(line) }

func main() {
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		for input := bufio.NewScanner(os.Stdin); input.Scan(); {
			lines <- bytes.Clone(input.Bytes())
		}
	}()
	a := &adapter{steps: make(chan func())}
	a.fresh()
	for last := false; !last; a.flush() {
		select {
		case line, more := <-lines:
			if last = !more; more {
				last = a.reply(line)
			}
		case step := <-a.steps:
			step()
		}
	}
	a.client.Leave()
}
