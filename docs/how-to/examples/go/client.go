// The client: one person of phase 0, who stays registered and has one call at a time.
//
// Its state belongs to the goroutine that runs what comes out of Steps, so nothing is locked.
package main

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

var (
	waits   = []float64{1, 2, 4, 8, 15, 30}           // seconds (REG-16)
	final   = []quic.ApplicationErrorCode{2, 3, 8, 9} // closes after which it stays away
	opus24k = members{"codec": "Opus24k", "fec_ratio": 0.2, "frame_duration_ms": 20, "frames_per_block": 5}
	normal  = members{"reason": "Normal"}
)

// Client hands every step of its network out of Steps, and tells what happens.
type Client struct {
	Steps chan func()
	Tell  func(event string, told members)

	relay  string
	key    ed25519.PrivateKey
	pin    string          // the TLS fingerprint that the relay has to have, or none
	token  string          // for a relay that asks for one, or none
	pace   float64         // what every time of the client is multiplied by
	life   context.Context // until the client leaves its relay
	leave  context.CancelFunc
	signal *quic.Conn
	online bool
	losses int
	owes   bool // a Hangup: the relay may not know that a call was lost with the connection
	call   *call
	open   sync.WaitGroup // connections that are not closed yet
}

type call struct {
	id       string
	talks    bool // the other end is in the room
	agreed   bool // the user placed or accepted it
	life     context.Context
	leave    context.CancelFunc
	hush     context.CancelFunc // ends what is being said
	relay    string
	room     *quic.Conn
	admitted bool
	began    time.Time
	sequence uint16
	stamp    int // milliseconds of the call, at the last frame
}

// Configure makes the client somebody: an identity is a seed of 32 bytes (spec/registration.md).
func (c *Client) Configure(relay string, seed []byte, pin, token string, pace float64) error {
	if c.life != nil {
		return errors.New("the client is registered")
	}
	private, err := hkdf.Key(sha256.New, seed, nil, "warzone-ed25519", ed25519.SeedSize)
	c.relay, c.key, c.pin, c.token, c.pace = relay, ed25519.NewKeyFromSeed(private), pin, token, pace
	return err
}

// State tells how the client stands.
func (c *Client) State() members {
	state := members{"registered": c.online, "call_id": nil, "path": nil}
	if c.call != nil {
		state["call_id"] = c.call.id
		if c.call.talks {
			state["path"] = "relay"
		}
	}
	return state
}

// colons writes bytes as groups of so many hex digits.
func colons(sum []byte, digits int) string {
	groups := []string{}
	for group := range slices.Chunk([]byte(fmt.Sprintf("%x", sum)), digits) {
		groups = append(groups, string(group))
	}
	return strings.Join(groups, ":")
}

// Fingerprint returns what others call.
func (c *Client) Fingerprint() string {
	sum := sha256.Sum256(c.public())
	return colons(sum[:16], 4)
}

func (c *Client) public() []byte { return c.key.Public().(ed25519.PublicKey) }

func (c *Client) scaled(seconds float64) time.Duration {
	return time.Duration(seconds * c.pace * float64(time.Second))
}

// step runs f in the goroutine of Steps, unless life is over by then.
func (c *Client) step(life context.Context, f func()) {
	alive := func() {
		if life.Err() == nil {
			f()
		}
	}
	select {
	case c.Steps <- alive:
	case <-life.Done():
	}
}

// connect keeps a connection to a relay while life lasts; it says when it is ready, and why it was lost.
func (c *Client) connect(life context.Context, relay, name string, ready func(*quic.Conn),
	heard func(string, members), lost func(error)) {
	trust := func(certificates [][]byte, _ [][]*x509.Certificate) error {
		sum := sha256.Sum256(certificates[0])
		if found := colons(sum[:], 2); c.pin != "" && c.pin != found {
			return fmt.Errorf("the relay has the fingerprint %s, not %s", found, c.pin)
		}
		return nil
	}
	// Nobody signs a relay's certificate (spec/transport.md): TLS proves its key, which may be pinned.
	security := &tls.Config{ServerName: name, NextProtos: []string{"wzp"}, InsecureSkipVerify: true,
		VerifyPeerCertificate: trust}
	settings := &quic.Config{EnableDatagrams: true, MaxIncomingStreams: 100,
		MaxIdleTimeout: 30 * time.Second, KeepAlivePeriod: c.scaled(4)}
	c.open.Go(func() {
		conn, err := quic.DialAddr(life, relay, security, settings)
		if err == nil {
			stop := context.AfterFunc(life, func() { conn.CloseWithError(0, "normal close") })
			c.step(life, func() { ready(conn) })
			err = receive(conn, c.scaled(10), func(name string, body members) {
				c.step(life, func() { heard(name, body) })
			})
			stop()
		}
		go c.step(life, func() { lost(err) })
	})
}

// Register connects to the relay and stays registered.
func (c *Client) Register() error {
	if c.key == nil || c.life != nil {
		return errors.New("the client is not configured, or has been registered already")
	}
	c.life, c.leave = context.WithCancel(context.Background())
	c.connect(c.life, c.relay, "_signal", c.introduce, c.heard, c.lost)
	return nil
}

func (c *Client) introduce(signal *quic.Conn) {
	c.signal = signal
	if c.token != "" {
		send(signal, "AuthToken", members{"token": c.token})
	}
	signature := ed25519.Sign(c.key, slices.Concat([]byte("register-presence"), c.public()))
	send(signal, "RegisterPresence",
		members{"identity_pub": numbers(c.public()), "signature": numbers(signature)})
}

func (c *Client) lost(err error) {
	if c.online {
		c.losses = 0
	}
	if c.call != nil {
		c.owes = c.owes || c.call.agreed
		c.over("the connection to the relay was lost")
	}
	var closed *quic.ApplicationError
	stays := errors.As(err, &closed) && slices.Contains(final, closed.ErrorCode)
	c.online = false
	c.Tell("offline", members{"reason": err.Error(), "final": stays})
	if stays {
		c.leave()
		c.life = nil
		return
	}
	wait := c.scaled(waits[min(c.losses, len(waits)-1)])
	c.losses++
	life := c.life
	time.AfterFunc(wait, func() {
		c.step(life, func() { c.connect(life, c.relay, "_signal", c.introduce, c.heard, c.lost) })
	})
}

// heard acts on a message of the signal connection.
func (c *Client) heard(name string, body members) {
	id, _ := body["call_id"].(string)
	mine := c.call != nil && c.call.id == id
	switch {
	case name == "RegisterPresenceAck" && body["success"] == true && !c.online:
		if c.online = true; c.owes {
			send(c.signal, "Hangup", normal)
			c.owes = false
		}
		c.Tell("registered", members{"fingerprint": c.Fingerprint()})
	case name == "DirectCallOffer" && c.online && c.call == nil:
		c.begin(id, false)
		c.Tell("incoming", members{"call_id": id, "caller": body["caller_fingerprint"]})
	case name == "DirectCallOffer" && c.online && !mine:
		send(c.signal, "DirectCallAnswer", members{"call_id": id, "accept_mode": "Reject"})
	case name == "CallRinging" && mine:
		c.Tell("ringing", members{"call_id": id})
	case name == "CallSetup" && mine && c.call.agreed && c.call.relay == "":
		c.join(body["relay_addr"].(string))
	case name == "DirectCallAnswer" && mine && body["accept_mode"] == "Reject":
		c.over("Declined")
	case name == "Hangup" && c.call != nil:
		c.over(body["reason"].(string))
	}
}

func (c *Client) begin(id string, agreed bool) {
	life, leave := context.WithCancel(c.life)
	c.call = &call{id: id, agreed: agreed, life: life, leave: leave, hush: func() {}, began: time.Now()}
}

func (c *Client) over(reason string) {
	c.call.leave()
	c.Tell("ended", members{"call_id": c.call.id, "reason": reason})
	c.call = nil
}

// join enters the room of the call (spec/media.md).
func (c *Client) join(relay string) {
	call := c.call
	call.relay = relay
	lost := func(err error) {
		var closed *quic.ApplicationError // CALL_ENDED and SEAT_TAKEN need no word
		if !errors.As(err, &closed) || closed.ErrorCode != 6 && closed.ErrorCode != 7 {
			send(c.signal, "Hangup", normal)
		}
		c.over("the room was lost: " + err.Error())
	}
	c.connect(call.life, relay, "call-"+call.id, c.enter, c.heardInRoom, lost)
}

func (c *Client) enter(room *quic.Conn) {
	c.call.room = room
	ephemeral, _ := ecdh.X25519().GenerateKey(rand.Reader)
	public := ephemeral.PublicKey().Bytes()
	signature := ed25519.Sign(c.key, slices.Concat(public, []byte("call-offer")))
	send(room, "CallOffer", members{"identity_pub": numbers(c.public()), "ephemeral_pub": numbers(public),
		"signature": numbers(signature), "supported_profiles": []members{opus24k}})
	go c.listen(c.call, room)
}

func (c *Client) heardInRoom(name string, body members) {
	call := c.call
	switch {
	case name == "CallAnswer" && !call.admitted:
		signed := slices.Concat(octetsOf(body["ephemeral_pub"]), []byte("call-answer"))
		call.admitted = ed25519.Verify(octetsOf(body["identity_pub"]), signed, octetsOf(body["signature"]))
		if !call.admitted {
			call.room.CloseWithError(0, "the signature of CallAnswer is wrong") // MEDIA-30
		}
	case name == "RoomUpdate" && call.admitted && body["count"].(float64) > 1 && !call.talks:
		call.talks = true
		c.Tell("path", members{"call_id": call.id, "path": "relay", "remote": call.relay})
	}
}

// listen takes in the audio of the room; comfort noise, repair and what is no datagram of media is dropped.
func (c *Client) listen(call *call, room *quic.Conn) {
	for {
		datagram, err := room.ReceiveDatagram(call.life)
		if err != nil {
			return
		}
		if len(datagram) < 12 || datagram[0]&0x40 != 0 || datagram[0]&2 != 0 && len(datagram) < 16 {
			continue
		}
		if codec := datagram[0] >> 2 & 15; codec != 5 && codec <= 8 {
			told := members{"seq": binary.BigEndian.Uint16(datagram[2:]),
				"digest": fmt.Sprintf("%x", sha256.Sum256(datagram[12:]))}
			c.step(call.life, func() { c.Tell("received", told) })
		}
	}
}

// Send says n frames of 20 ms, one in every so many milliseconds; what was being said ends.
func (c *Client) Send(n, every int) error {
	if c.call == nil {
		return errors.New("there is no call")
	}
	call := c.call
	call.hush()
	life, hush := context.WithCancel(call.life)
	call.hush = hush
	call.stamp = max(call.stamp, 20*int(time.Since(call.began).Seconds()/c.pace/0.020)) // silence takes time
	go func() {
		tick := time.NewTicker(c.scaled(float64(every) / 1000))
		defer tick.Stop()
		for range n {
			<-tick.C
			c.step(life, func() { c.say(every) })
		}
	}()
	return nil
}

func (c *Client) say(every int) {
	call := c.call
	call.stamp += every
	if call.talks {
		header := make([]byte, 12, 28)
		binary.BigEndian.PutUint16(header[2:], call.sequence)
		binary.BigEndian.PutUint32(header[4:], uint32(call.stamp))
		call.sequence++
		call.room.SendDatagram(append(header, "sixteen of Opus."...))
	}
}

// Place calls somebody.
func (c *Client) Place(target string) error {
	if !c.online || c.call != nil {
		return errors.New("the client is not registered, or has a call")
	}
	id := make([]byte, 16)
	rand.Read(id)
	c.begin(fmt.Sprintf("%x", id), true)
	send(c.signal, "DirectCallOffer", members{"caller_fingerprint": c.Fingerprint(),
		"target_fingerprint": target, "call_id": c.call.id, "identity_pub": numbers(c.public()),
		"ephemeral_pub": make([]int, 32), "signature": []int{}, "supported_profiles": []members{opus24k}})
	return nil
}

// Answer answers the call that rings.
func (c *Client) Answer(id, mode string) error {
	if c.call == nil || c.call.id != id || c.call.agreed {
		return fmt.Errorf("the call %q does not ring", id)
	}
	send(c.signal, "DirectCallAnswer", members{"call_id": id, "accept_mode": mode})
	if c.call.agreed = mode != "Reject"; !c.call.agreed {
		c.over("Declined")
	}
	return nil
}

// Hangup ends the call, its media once the relay knows (CALL-38).
func (c *Client) Hangup() error {
	if c.call == nil {
		return errors.New("there is no call")
	}
	select {
	case <-send(c.signal, "Hangup", normal):
	case <-time.After(c.scaled(1)):
	}
	c.over("Normal")
	return nil
}

// Leave hangs up and leaves the relay; when it returns nothing is open.
func (c *Client) Leave() {
	c.Hangup()
	if c.life != nil {
		c.leave()
	}
	c.open.Wait()
}

// numbers writes bytes as the arrays that messages have for them; octetsOf reads them.
func numbers(octets []byte) []int {
	found := make([]int, len(octets))
	for place, octet := range octets {
		found[place] = int(octet)
	}
	return found
}

func octetsOf(value any) []byte {
	found := []byte{}
	for _, octet := range value.([]any) {
		found = append(found, byte(octet.(float64)))
	}
	return found
}
