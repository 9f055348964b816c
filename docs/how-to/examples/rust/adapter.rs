//! The adapter: presses the client's buttons for the suite, and tells what comes of it.

mod client;
mod wire;

use client::{Client, Config, Done, key_of};
use serde_json::{Value, json};
use std::io::{BufRead, stdin};
use tokio::sync::mpsc;

fn configuration(asked: &Value) -> Result<Config, Box<dyn std::error::Error>> {
    let text = |name: &str| asked[name].as_str().map(str::to_string);
    let (relay, seed) = (text("relay").unwrap_or_default(), text("seed").unwrap_or_default());
    let octets: Option<Vec<u8>> =
        (0..seed.len()).step_by(2).map(|at| u8::from_str_radix(seed.get(at..at + 2)?, 16).ok()).collect();
    let seed = octets
        .filter(|octets| octets.len() == 32)
        .ok_or(format!("the seed {seed:?} is not 64 hex digits"))?;
    let pace = if asked["timers"].is_null() { Some(1.0) } else { asked["timers"].as_f64() };
    let pace = pace.filter(|pace| (0.01..=1.0).contains(pace));
    Ok(Config {
        relay: relay.parse().map_err(|error| format!("the relay {relay:?} is no address: {error}"))?,
        key: key_of(&seed)?,
        pin: text("fingerprint"),
        token: text("token"),
        pace: pace.ok_or(format!("timers is {}, not 0.01 to 1", asked["timers"]))?,
    })
}

fn is_person(text: &str) -> bool {
    let group =
        |group: &str| group.len() == 4 && group.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    text.split(':').count() == 8 && text.split(':').all(group)
}

async fn press(client: &mut Client, request: &str, asked: &Value) -> Done {
    let text = |name: &str| asked[name].as_str().unwrap_or_default();
    match request {
        "configure" => client.configure(configuration(asked)?),
        "register" => client.register(),
        "call" if is_person(text("target")) => client.place(text("target")).await,
        "call" => Err(format!("the target {} is no fingerprint", asked["target"]).into()),
        "answer" if ["AcceptTrusted", "AcceptGeneric", "Reject"].contains(&text("mode")) => {
            client.answer(text("call_id"), text("mode")).await
        }
        "answer" => Err(format!("the mode is {}", asked["mode"]).into()),
        "hangup" => client.hang_up().await,
        "send" => match (asked["n"].as_u64(), asked["every_ms"].as_u64()) {
            (Some(n @ 1..=1000), Some(every @ 20..=60_000)) if every % 20 == 0 => {
                client.speak(n, every as u32)
            }
            _ => {
                Err(format!("{} frames, one in {} ms, cannot be sent", asked["n"], asked["every_ms"]).into())
            }
        },
        _ => Ok(()),
    }
}

/// Answer a line of the suite, if it is a request; tell whether it was the last one.
async fn answer(client: &mut Client, line: &[u8]) -> bool {
    let asked: Value = serde_json::from_slice(line).unwrap_or_default();
    let (Some(id), Some(request)) = (asked["id"].as_u64(), asked["do"].as_str()) else { return false };
    let reply = match request {
        "hello" => {
            json!({"id": id, "ok": {"control": 1, "name": "example-rust", "version": "1", "phase": "0",
            "roles": ["client"], "features": ["fingerprint", "media", "timers", "token"]}})
        }
        "state" => json!({"id": id, "ok": client.state()}),
        "reset" | "bye" => {
            client.leave().await;
            flush(client); // what ends is told before
            json!({"id": id, "ok": {}})
        }
        "configure" | "register" | "call" | "answer" | "hangup" | "send" => {
            match press(client, request, &asked).await {
                Ok(()) => json!({"id": id, "ok": {}}),
                Err(error) => json!({"id": id, "error": error.to_string()}),
            }
        }
        _ => json!({"id": id, "unsupported": format!("{request:?} is no request that this adapter knows")}),
    };
    println!("{reply}");
    request == "bye"
}

fn flush(client: &mut Client) {
    for event in client.told.drain(..) {
        println!("{event}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (lines, mut requests) = mpsc::channel(1);
    std::thread::spawn(move || {
        stdin().lock().split(b'\n').try_for_each(|line| lines.blocking_send(line.ok()?).ok())
    });
    let (steps, mut happening) = mpsc::channel(100);
    let client = &mut Client::new(steps);
    let mut last = false;
    while !last {
        tokio::select! {
            line = requests.recv() => match line {
                Some(line) => last = answer(client, &line).await,
                None => last = true,
            },
            Some((life, step)) = happening.recv() => client.perform(life, step).await,
        }
        flush(client);
    }
    client.leave().await;
}
