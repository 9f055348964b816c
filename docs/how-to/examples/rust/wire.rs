//! Wire: frames, strict JSON, and the shapes of what a client of phase 0 hears (spec/wire.md).

use crate::client::{Step, Steps};
use quinn::{Connection, ConnectionError, RecvStream, SendStream};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::{sync::mpsc, time::timeout};

const LONGEST: usize = 1 << 20;

/// Put a message on a stream of its own; `stopped` of what is returned tells when it has arrived.
pub async fn send(connection: &Connection, name: &str, body: Value) -> Option<SendStream> {
    let payload = json!({ name: body }).to_string();
    let Ok(Ok((mut stream, back))) = timeout(Duration::from_secs(1), connection.open_bi()).await else {
        connection.close(0u32.into(), b"no stream for a message"); // as good as gone
        return None;
    };
    tokio::spawn(discard(back));
    let frame = [&(payload.len() as u32).to_be_bytes(), payload.as_bytes()].concat();
    stream.write_all(&frame).await.ok()?;
    stream.finish().ok()?;
    Some(stream)
}

/// Hand on the messages of a connection in the order of their streams (TRANS-10); return why it is lost.
pub async fn receive(
    connection: Connection,
    patience: Duration,
    life: u64,
    steps: &Steps,
) -> ConnectionError {
    let (frames, mut in_order) = mpsc::channel(100);
    let accepting = connection.clone();
    tokio::spawn(async move {
        while let Ok((mut back, stream)) = accepting.accept_bi().await {
            let _ = back.finish(); // TRANS-11
            if frames.send(tokio::spawn(first(stream, patience))).await.is_err() {
                break;
            }
        }
    });
    while let Some(frame) = in_order.recv().await {
        if let Some((name, body)) = frame.await.ok().flatten().and_then(|payload| parse(&payload)) {
            let _ = steps.send((life, Step::Heard(name, body))).await;
        }
    }
    connection.closed().await
}

/// Return the payload of the first frame of a stream, and discard what is behind it (TRANS-12).
async fn first(mut stream: RecvStream, patience: Duration) -> Option<Vec<u8>> {
    let whole = async {
        let mut length = [0; 4];
        stream.read_exact(&mut length).await.ok()?;
        let length = u32::from_be_bytes(length) as usize;
        let mut payload = vec![0; (length <= LONGEST).then_some(length)?];
        stream.read_exact(&mut payload).await.ok()?;
        Some(payload)
    };
    let payload = timeout(patience, whole).await.ok().flatten();
    match payload {
        Some(_) => drop(tokio::spawn(discard(stream))),
        None => drop(stream.stop(0u32.into())),
    }
    payload
}

async fn discard(mut stream: RecvStream) {
    while let Ok(Some(_)) = stream.read_chunk(LONGEST, false).await {}
}

/// Return a message that is well-formed (WIRE-4), not too full (WIRE-16) and of its shape (WIRE-5).
fn parse(payload: &[u8]) -> Option<(String, Value)> {
    let (levels, parts, colons) = scan(payload);
    let payload = (parts <= 16_384).then_some(payload)?;
    let parsed: Map<String, Value> = serde_json::from_slice(payload).ok()?;
    let (name, body) = parsed.iter().next()?;
    let sound = parsed.len() == 1 && levels <= 64 && colons == 1 + count(body) && fits(name, body);
    sound.then(|| (name.clone(), body.clone()))
}

/// Return how many levels are open at once, how many members and entries there are, and how many colons
/// stand outside of strings.
fn scan(payload: &[u8]) -> (usize, usize, usize) {
    let (mut levels, mut most, mut parts, mut colons) = (0, 0, 0, 0);
    let (mut text, mut opened) = (false, false);
    let mut octets = payload.iter();
    while let Some(octet) = octets.next() {
        if opened && !b" \t\r\n".contains(octet) {
            opened = false;
            parts += usize::from(!b"}]".contains(octet));
        }
        match octet {
            b'"' => text = !text,
            b'\\' if text => drop(octets.next()),
            _ if text => {}
            b':' => colons += 1,
            b',' => parts += 1,
            b'{' | b'[' => (levels, opened) = (levels + 1, true),
            b'}' | b']' => levels -= 1,
            _ => {}
        }
        most = most.max(levels);
    }
    (most, parts, colons)
}

/// Return the members of a value at every depth: fewer than colons, if one came twice.
fn count(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.values().map(|one| 1 + count(one)).sum(),
        Value::Array(elements) => elements.iter().map(count).sum(),
        _ => 0,
    }
}

/// Tell whether the accept view of phase 0 takes a message, of those that a client acts on.
fn fits(name: &str, b: &Value) -> bool {
    match name {
        "RegisterPresenceAck" => b["success"].is_boolean() && maybe(&b["error"], |v| text(v, 1024)),
        "DirectCallOffer" => {
            (text(&b["caller_fingerprint"], 255) && maybe(&b["caller_alias"], |v| text(v, 255)))
                && (text(&b["target_fingerprint"], 255) && call_id(&b["call_id"]))
                && (key(&b["identity_pub"]) && key(&b["ephemeral_pub"]))
                && (list(&b["signature"], octet) && list(&b["supported_profiles"], profile))
        }
        "DirectCallAnswer" => {
            (call_id(&b["call_id"]) && one_of(&b["accept_mode"], "Reject AcceptTrusted AcceptGeneric"))
                && (maybe(&b["identity_pub"], key) && maybe(&b["ephemeral_pub"], key))
                && (maybe(&b["signature"], |v| list(v, octet)) && maybe(&b["chosen_profile"], profile))
        }
        "CallSetup" => call_id(&b["call_id"]) && text(&b["room"], 63) && text(&b["relay_addr"], 255),
        "CallRinging" => call_id(&b["call_id"]),
        "Hangup" => one_of(&b["reason"], "Normal Busy Declined Timeout Error"),
        "CallAnswer" => {
            (key(&b["identity_pub"]) && key(&b["ephemeral_pub"]))
                && (list(&b["signature"], octet) && profile(&b["chosen_profile"]))
        }
        "RoomUpdate" => whole(&b["count"], u32::MAX.into()) && list(&b["participants"], participant),
        _ => false,
    }
}

fn text(v: &Value, most: usize) -> bool {
    v.as_str().is_some_and(|text| text.chars().count() <= most)
}

fn one_of(v: &Value, words: &str) -> bool {
    v.as_str().is_some_and(|word| words.split(' ').any(|one| one == word))
}

fn call_id(v: &Value) -> bool {
    let fine = |octet: u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-');
    v.as_str().is_some_and(|id| (1..=58).contains(&id.len()) && id.bytes().all(fine))
}

fn whole(v: &Value, most: u64) -> bool {
    v.as_u64().is_some_and(|number| number <= most)
}

fn octet(v: &Value) -> bool {
    whole(v, 255)
}

fn list(v: &Value, fits: fn(&Value) -> bool) -> bool {
    v.as_array().is_some_and(|elements| elements.iter().all(fits))
}

fn key(v: &Value) -> bool {
    list(v, octet) && v.as_array().is_some_and(|octets| octets.len() == 32)
}

fn maybe(v: &Value, fits: impl Fn(&Value) -> bool) -> bool {
    v.is_null() || fits(v)
}

fn profile(v: &Value) -> bool {
    let codecs = "Opus24k Opus16k Opus6k Codec2_3200 Codec2_1200 ComfortNoise Opus32k Opus48k Opus64k";
    (one_of(&v["codec"], codecs) && v["fec_ratio"].as_f64().is_some_and(|ratio| ratio >= 0.0))
        && (octet(&v["frame_duration_ms"]) && octet(&v["frames_per_block"]))
}

fn participant(v: &Value) -> bool {
    let name = |v: &Value| text(v, 255);
    name(&v["fingerprint"]) && maybe(&v["alias"], name) && maybe(&v["relay_label"], name)
}
