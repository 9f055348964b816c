//! The client: one person of phase 0, who stays registered and has one call at a time.
//!
//! What the network brings are steps: its owner takes them from a channel and lets the client perform them.

use crate::wire::{receive, send};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, TransportConfig};
use ring::agreement::{EphemeralPrivateKey, X25519};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use ring::{digest, hkdf, rand};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme, crypto};
use serde_json::{Value, json};
use std::error::Error as Fault;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, interval, sleep, timeout};

const WAITS: [f64; 6] = [1.0, 2.0, 4.0, 8.0, 15.0, 30.0]; // seconds (REG-16)
const FINAL: [u64; 4] = [2, 3, 8, 9]; // closes after which a client stays away (spec/errors.md)

/// What the network brings, or time.
pub enum Step {
    Ready(Connection),
    Heard(String, Value),
    Audio(Value),
    Frame(u32),
    Lost(String, Option<u64>),
    Again,
}

/// Steps carry the number of the life that they belong to; those of a life that is over have no effect.
pub type Steps = mpsc::Sender<(u64, Step)>;
pub type Done = Result<(), Box<dyn Fault>>;

pub struct Client {
    pub told: Vec<Value>,
    steps: Steps,
    lives: u64,
    me: Option<Config>,
    endpoint: Option<Endpoint>,
    life: u64, // of the registration; 0 is none
    signal: Option<Connection>,
    online: bool,
    losses: usize,
    owes: bool, // a Hangup: the relay may not know that a call was lost with the connection
    call: Option<Call>,
}

pub struct Config {
    pub relay: SocketAddr,
    pub key: Ed25519KeyPair,
    pub pin: Option<String>, // the TLS fingerprint that the relay has to have
    pub token: Option<String>,
    pub pace: f64, // what every time of the client is multiplied by
}

struct Call {
    id: String,
    agreed: bool, // the user placed or accepted it
    life: u64,
    room: Option<Connection>,
    relay: Option<String>,
    admitted: bool,
    talks: bool, // the other end is in the room
    began: Instant,
    speech: Option<AbortHandle>,
    sequence: u16,
    stamp: u32, // milliseconds of the call, at the last frame
}

impl Client {
    pub fn new(steps: Steps) -> Self {
        let told = Vec::new();
        Client {
            told,
            steps,
            lives: 0,
            me: None,
            endpoint: None,
            life: 0,
            signal: None,
            online: false,
            losses: 0,
            owes: false,
            call: None,
        }
    }

    /// Make the client somebody.
    pub fn configure(&mut self, config: Config) -> Done {
        if self.life != 0 {
            return Err("the client is registered".into());
        }
        let unspecified = if config.relay.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let mut endpoint = Endpoint::client(unspecified.parse()?)?;
        endpoint.set_default_client_config(security(&config)?);
        (self.me, self.endpoint) = (Some(config), Some(endpoint));
        Ok(())
    }

    /// Connect to the relay and stay registered.
    pub fn register(&mut self) -> Done {
        let relay = self.me.as_ref().ok_or("the client is not configured")?.relay;
        if self.life != 0 {
            return Err("the client is registered".into());
        }
        self.life = self.new_life();
        self.connect(self.life, relay, "_signal".into());
        Ok(())
    }

    /// Perform a step; one of a life that is over has no effect.
    pub async fn perform(&mut self, life: u64, step: Step) {
        let room = self.call.as_ref().is_some_and(|call| call.life == life);
        match step {
            Step::Ready(connection) if room => self.enter(connection).await,
            Step::Heard(name, body) if room => self.heard_in_room(&name, &body),
            Step::Audio(event) if room => self.told.push(event),
            Step::Frame(every) if room => self.say(every),
            Step::Lost(why, code) if room => {
                if !matches!(code, Some(6 | 7)) {
                    // CALL_ENDED and SEAT_TAKEN need no word.
                    self.send("Hangup", json!({"reason": "Normal"})).await;
                }
                self.over(&format!("the room was lost: {why}"));
            }
            Step::Ready(connection) if life != self.life => connection.close(0u32.into(), b"normal close"),
            _ if life != self.life => {}
            Step::Ready(connection) => self.introduce(connection).await,
            Step::Heard(name, body) => self.heard(&name, &body).await,
            Step::Lost(why, code) => self.lost(&why, code),
            Step::Again => self.connect(life, self.me().relay, "_signal".into()),
            Step::Audio(_) | Step::Frame(_) => {}
        }
    }

    fn new_life(&mut self) -> u64 {
        self.lives += 1;
        self.lives
    }

    fn me(&self) -> &Config {
        self.me.as_ref().expect("who is registered is somebody")
    }

    fn scaled(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds * self.me().pace)
    }

    fn public(&self) -> Vec<u8> {
        self.me().key.public_key().as_ref().to_vec()
    }

    fn tell(&mut self, event: Value) {
        self.told.push(event);
    }

    async fn send(&self, name: &str, body: Value) -> Option<quinn::SendStream> {
        send(self.signal.as_ref()?, name, body).await
    }

    /// Connect to a relay under a server name, and hear it until the connection is lost.
    fn connect(&self, life: u64, relay: SocketAddr, name: String) {
        let (endpoint, steps, patience) = (self.endpoint.clone(), self.steps.clone(), self.scaled(10.0));
        tokio::spawn(async move {
            let hear = async || {
                let connection = endpoint.ok_or("no endpoint")?.connect(relay, &name)?.await?;
                let _ = steps.send((life, Step::Ready(connection.clone()))).await;
                Err::<(), Box<dyn Fault + Send + Sync>>(
                    receive(connection, patience, life, &steps).await.into(),
                )
            };
            let Err(error) = hear().await else { return };
            let code = match error.downcast_ref() {
                Some(ConnectionError::ApplicationClosed(close)) => Some(close.error_code.into_inner()),
                _ => None,
            };
            let _ = steps.send((life, Step::Lost(error.to_string(), code))).await;
        });
    }

    async fn introduce(&mut self, signal: Connection) {
        self.signal = Some(signal);
        if let Some(token) = &self.me().token {
            self.send("AuthToken", json!({"token": token})).await;
        }
        let public = self.public();
        let signature = self.me().key.sign(&[b"register-presence", &public[..]].concat());
        let body = json!({"identity_pub": public, "signature": signature.as_ref(), "alias": null});
        self.send("RegisterPresence", body).await;
    }

    fn lost(&mut self, why: &str, code: Option<u64>) {
        if self.online {
            self.losses = 0;
        }
        if let Some(call) = &self.call {
            self.owes |= call.agreed;
            self.over("the connection to the relay was lost");
        }
        let stays = code.is_some_and(|code| FINAL.contains(&code));
        (self.online, self.signal) = (false, None);
        self.tell(json!({"event": "offline", "reason": why, "final": stays}));
        if stays {
            self.life = 0;
            return;
        }
        let wait = self.scaled(WAITS[self.losses.min(WAITS.len() - 1)]);
        self.losses += 1;
        let (life, steps) = (self.life, self.steps.clone());
        tokio::spawn(async move {
            sleep(wait).await;
            steps.send((life, Step::Again)).await
        });
    }

    /// Act on a message of the signal connection.
    async fn heard(&mut self, name: &str, body: &Value) {
        let id = body["call_id"].as_str().unwrap_or_default();
        let call = self.call.as_ref().filter(|call| call.id == id);
        match name {
            "RegisterPresenceAck" if body["success"] == true && !self.online => {
                self.online = true;
                if std::mem::take(&mut self.owes) {
                    self.send("Hangup", json!({"reason": "Normal"})).await;
                }
                self.tell(json!({"event": "registered", "fingerprint": self.fingerprint()}));
            }
            "DirectCallOffer" if self.online && self.call.is_none() => {
                self.begin(id, false);
                self.tell(json!({"event": "incoming", "call_id": id, "caller": body["caller_fingerprint"]}));
            }
            "DirectCallOffer" if self.online && call.is_none() => {
                self.send("DirectCallAnswer", json!({"call_id": id, "accept_mode": "Reject"})).await;
            }
            "CallRinging" if call.is_some() => self.tell(json!({"event": "ringing", "call_id": id})),
            "CallSetup" if call.is_some_and(|call| call.agreed && call.relay.is_none()) => {
                self.join(body["relay_addr"].as_str().unwrap_or_default()).await;
            }
            "DirectCallAnswer" if call.is_some() && body["accept_mode"] == "Reject" => self.over("Declined"),
            "Hangup" if self.call.is_some() => self.over(body["reason"].as_str().unwrap_or_default()),
            _ => {}
        }
    }

    fn begin(&mut self, id: &str, agreed: bool) {
        self.call = Some(Call {
            id: id.to_string(),
            agreed,
            life: self.new_life(),
            room: None,
            relay: None,
            admitted: false,
            talks: false,
            began: Instant::now(),
            speech: None,
            sequence: 0,
            stamp: 0,
        });
    }

    /// End the call at this end: its room is left, and what is still said of it is not heard.
    fn over(&mut self, reason: &str) {
        if let Some(call) = self.call.take() {
            if let Some(room) = call.room {
                room.close(0u32.into(), b"normal close");
            }
            if let Some(speech) = call.speech {
                speech.abort();
            }
            self.tell(json!({"event": "ended", "call_id": call.id, "reason": reason}));
        }
    }

    /// Enter the room of the call (spec/media.md).
    async fn join(&mut self, relay: &str) {
        let Some(call) = &mut self.call else { return };
        call.relay = Some(relay.to_string());
        let (life, name) = (call.life, format!("call-{}", call.id));
        match relay.parse() {
            Ok(address) => self.connect(life, address, name),
            Err(_) => drop(self.hang_up().await), // there is no such room
        }
    }

    async fn enter(&mut self, room: Connection) {
        let mut public = [0; 32];
        let fresh = EphemeralPrivateKey::generate(&X25519, &rand::SystemRandom::new());
        let ephemeral =
            fresh.and_then(|fresh| fresh.compute_public_key()).expect("the system has random numbers");
        public.copy_from_slice(ephemeral.as_ref());
        let signature = self.me().key.sign(&[&public[..], b"call-offer"].concat());
        let body = json!({"identity_pub": self.public(), "ephemeral_pub": public,
            "signature": signature.as_ref(), "supported_profiles": [opus()], "alias": null});
        send(&room, "CallOffer", body).await;
        let Some(call) = &mut self.call else { return };
        call.room = Some(room.clone());
        let (life, steps) = (call.life, self.steps.clone());
        tokio::spawn(async move {
            while let Ok(datagram) = room.read_datagram().await {
                if let Some(event) = audio(&datagram) {
                    let _ = steps.send((life, Step::Audio(event))).await;
                }
            }
        });
    }

    fn heard_in_room(&mut self, name: &str, body: &Value) {
        let Some(call) = &mut self.call else { return };
        match name {
            "CallAnswer" if !call.admitted => {
                let signed = [octets(&body["ephemeral_pub"]), b"call-answer".to_vec()].concat();
                let signer = UnparsedPublicKey::new(&ED25519, octets(&body["identity_pub"]));
                call.admitted = signer.verify(&signed, &octets(&body["signature"])).is_ok();
                if let (false, Some(room)) = (call.admitted, &call.room) {
                    room.close(0u32.into(), b"the signature of CallAnswer is wrong"); // MEDIA-30
                }
            }
            "RoomUpdate" if call.admitted && !call.talks && body["count"].as_u64() > Some(1) => {
                call.talks = true;
                let event =
                    json!({"event": "path", "call_id": call.id, "path": "relay", "remote": call.relay});
                self.tell(event);
            }
            _ => {}
        }
    }

    /// Say so many frames of 20 ms, one in every so many milliseconds; what was being said ends.
    pub fn speak(&mut self, count: u64, every: u32) -> Done {
        let pace = self.me.as_ref().map_or(1.0, |me| me.pace);
        let pause = Duration::from_secs_f64(f64::from(every) / 1000.0 * pace);
        let call = self.call.as_mut().ok_or("there is no call")?;
        if let Some(speech) = call.speech.take() {
            speech.abort();
        }
        let silence = (call.began.elapsed().as_secs_f64() / pace / 0.020) as u32 * 20;
        call.stamp = call.stamp.max(silence); // which takes time too (MEDIA-27)
        let (life, steps) = (call.life, self.steps.clone());
        let speech = tokio::spawn(async move {
            let mut tick = interval(pause);
            for _ in 0..count {
                tick.tick().await;
                let _ = steps.send((life, Step::Frame(every))).await;
            }
        });
        call.speech = Some(speech.abort_handle());
        Ok(())
    }

    fn say(&mut self, every: u32) {
        let Some(call) = &mut self.call else { return };
        call.stamp = call.stamp.wrapping_add(every);
        if let (true, Some(room)) = (call.talks, &call.room) {
            let header =
                [&[0, 0], &call.sequence.to_be_bytes()[..], &call.stamp.to_be_bytes(), &[0; 4]].concat();
            call.sequence = call.sequence.wrapping_add(1);
            let _ = room.send_datagram([&header[..], b"sixteen of Opus."].concat().into());
        }
    }

    /// Call somebody.
    pub async fn place(&mut self, target: &str) -> Done {
        if !self.online || self.call.is_some() {
            return Err("the client is not registered, or has a call".into());
        }
        let mut random = [0; 16];
        rand::SecureRandom::fill(&rand::SystemRandom::new(), &mut random).map_err(|_| "no random numbers")?;
        let id = hex(&random);
        self.begin(&id, true);
        let offer = json!({"caller_fingerprint": self.fingerprint(), "caller_alias": null,
            "target_fingerprint": target, "call_id": id, "identity_pub": self.public(),
            "ephemeral_pub": vec![0; 32], "signature": [], "supported_profiles": [opus()]});
        self.send("DirectCallOffer", offer).await;
        Ok(())
    }

    /// Answer the call that rings.
    pub async fn answer(&mut self, id: &str, mode: &str) -> Done {
        let call = self.call.as_mut().filter(|call| call.id == id && !call.agreed);
        call.ok_or(format!("the call {id:?} does not ring"))?.agreed = mode != "Reject";
        self.send("DirectCallAnswer", json!({"call_id": id, "accept_mode": mode})).await;
        if mode == "Reject" {
            self.over("Declined");
        }
        Ok(())
    }

    /// End the call: first the relay learns it, then the media ends (CALL-38).
    pub async fn hang_up(&mut self) -> Done {
        self.call.as_ref().ok_or("there is no call")?;
        if let Some(hangup) = self.send("Hangup", json!({"reason": "Normal"})).await {
            let _ = timeout(self.scaled(1.0), hangup.stopped()).await;
        }
        self.over("Normal");
        Ok(())
    }

    /// Hang up, leave the relay, and forget who it was; nothing is open afterwards.
    pub async fn leave(&mut self) {
        let _ = self.hang_up().await;
        (self.life, self.online, self.signal, self.losses, self.owes) = (0, false, None, 0, false);
        if let Some(endpoint) = self.endpoint.take() {
            endpoint.close(0u32.into(), b"normal close");
            // The closes leave at once; QUIC remembers its connections for longer.
            let _ = timeout(Duration::from_millis(50), endpoint.wait_idle()).await;
        }
        self.me = None;
    }

    pub fn state(&self) -> Value {
        let call = self.call.as_ref();
        let path = call.filter(|call| call.talks).map(|_| "relay");
        json!({"registered": self.online, "call_id": call.map(|call| &call.id), "path": path})
    }

    /// What others call (spec/registration.md, Identity).
    fn fingerprint(&self) -> String {
        let sum = digest::digest(&digest::SHA256, &self.public());
        sum.as_ref()[..16].chunks(2).map(hex).collect::<Vec<_>>().join(":")
    }
}

/// Derive the key of an identity from its seed of 32 bytes (spec/registration.md, Identity).
pub fn key_of(seed: &[u8]) -> Result<Ed25519KeyPair, Box<dyn Fault>> {
    let mut private = [0; 32];
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(seed);
    let filled =
        derived.expand(&[b"warzone-ed25519"], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut private));
    filled.map_err(|_| "no key can be derived")?;
    Ok(Ed25519KeyPair::from_seed_unchecked(&private).map_err(|_| "the seed makes no key")?)
}

/// Return the event of a datagram of audio; comfort noise, repair and what is no datagram of media has none.
fn audio(datagram: &[u8]) -> Option<Value> {
    let first = *datagram.first()?;
    let least = if first & 2 == 0 { 12 } else { 16 };
    let codec = first >> 2 & 15;
    (datagram.len() >= least && first & 0x40 == 0 && codec <= 8 && codec != 5).then(|| {
        let digest = digest::digest(&digest::SHA256, &datagram[12..]);
        let sequence = u16::from_be_bytes([datagram[2], datagram[3]]);
        json!({"event": "received", "seq": sequence, "digest": hex(digest.as_ref())})
    })
}

fn opus() -> Value {
    json!({"codec": "Opus24k", "fec_ratio": 0.2, "frame_duration_ms": 20, "frames_per_block": 5})
}

fn octets(value: &Value) -> Vec<u8> {
    value.as_array().into_iter().flatten().filter_map(|octet| octet.as_u64()?.try_into().ok()).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Nobody signs a relay's certificate (spec/transport.md): the key that TLS proves may be pinned, no more.
#[derive(Debug)]
struct Trust(Option<String>, crypto::CryptoProvider);

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer,
        _: &[CertificateDer],
        _: &ServerName,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let sum = digest::digest(&digest::SHA256, leaf);
        let found = sum.as_ref().chunks(1).map(hex).collect::<Vec<_>>().join(":");
        match &self.0 {
            Some(pin) if *pin != found => {
                Err(Error::General(format!("the relay has the fingerprint {found}")))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC has TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, leaf, signed, &self.1.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

/// QUIC and TLS as spec/transport.md has them.
fn security(me: &Config) -> Result<ClientConfig, Box<dyn Fault>> {
    let provider = crypto::ring::default_provider();
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trust(me.pin.clone(), provider)))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"wzp".to_vec()];
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(Duration::from_secs(30).try_into()?));
    transport.keep_alive_interval(Some(Duration::from_secs_f64(4.0 * me.pace)));
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}
