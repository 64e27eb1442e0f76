//! A server that does what no real one can be made to do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use lucid_remote::{RemoteSpec, Timeouts};
use serde_json::{Value, json};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Got {
    pub line: String,
    pub head: String,
    pub body: String,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Answers the request with this number among those to decode; 0 is the first.
type Script = dyn Fn(usize, &Got, &mut TcpStream) + Send + Sync;

/// A listening server. Its threads end with the test.
pub struct Fake {
    pub port: u16,
    pub got: Arc<Mutex<Vec<Got>>>,
}

impl Fake {
    /// One that has the model `m` and answers questions by the script.
    pub fn new(script: impl Fn(usize, &Got, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let models = json!({ "data": [{ "id": "m", "max_model_len": 4096 }] });
        Self::with_models(models, script)
    }

    pub fn with_models(
        models: Value,
        script: impl Fn(usize, &Got, &mut TcpStream) + Send + Sync + 'static,
    ) -> Self {
        Self::serving(move |number, got, stream| match got.line.as_str() {
            "GET /v1/models HTTP/1.1" => respond(stream, "200 OK", "application/json", &models.to_string()),
            line if line.starts_with("POST ") => script(number, got, stream),
            _ => respond(stream, "404 Not Found", "application/json", "{}"),
        })
    }

    /// One that answers everything by the script; requests to decode are counted.
    pub fn serving(script: impl Fn(usize, &Got, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let (script, all): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&got));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, all) = (Arc::clone(&script), Arc::clone(&all));
                thread::spawn(move || serve(stream.unwrap(), &*script, &all));
            }
        });
        Self { port, got }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A model here, with short times.
    pub fn spec(&self) -> RemoteSpec {
        RemoteSpec {
            timeouts: Timeouts {
                connect: Duration::from_secs(2),
                first_byte: Duration::from_secs(5),
                idle: Duration::from_secs(5),
            },
            retries: 2,
            ..RemoteSpec::new("m", self.url())
        }
    }

    /// The requests to decode.
    pub fn asked(&self) -> Vec<Got> {
        let got = self.got.lock().unwrap();
        got.iter().filter(|got| got.line.starts_with("POST ")).cloned().collect()
    }
}

fn serve(mut stream: TcpStream, script: &Script, all: &Mutex<Vec<Got>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|n| n > 2) {}
    if head.is_empty() {
        return;
    }
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let got = Got {
        line: head.lines().next().unwrap().to_owned(),
        head: head.clone(),
        body: String::from_utf8(body).unwrap(),
    };
    let number = {
        let mut all = all.lock().unwrap();
        all.push(got.clone());
        all.iter().filter(|got| got.line.starts_with("POST ")).count().saturating_sub(1)
    };
    script(number, &got, &mut stream);
}

/// Writes; a client that has gone is no matter.
pub fn write(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
    let _ = stream.flush();
}

pub fn respond(stream: &mut TcpStream, status: &str, kind: &str, body: &str) {
    respond_with(stream, status, &format!("Content-Type: {kind}\r\n"), body);
}

pub fn respond_with(stream: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let head =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    write(stream, head.as_bytes());
    write(stream, body.as_bytes());
}

/// Begins a stream of events; its end is the end of the connection.
pub fn begin(stream: &mut TcpStream) {
    write(stream, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
}

pub fn event(stream: &mut TcpStream, data: &Value) {
    write(stream, format!("data: {data}\n\n").as_bytes());
}

pub fn text(text: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }] })
}

pub fn end(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

/// A whole good answer.
pub fn say(stream: &mut TcpStream, words: &[&str]) {
    begin(stream);
    for word in words {
        event(stream, &text(word));
    }
    event(stream, &end("stop"));
    write(stream, b"data: [DONE]\n\n");
}

/// Waits until the client closes; gives whether it did within the time.
pub fn closed_within(stream: &mut TcpStream, time: Duration) -> bool {
    stream.set_read_timeout(Some(time)).unwrap();
    matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_))
        && stream.take_error().is_ok()
        && stream.read(&mut [0; 1]).map_or_else(|e| e.kind() != std::io::ErrorKind::WouldBlock, |n| n == 0)
}

/// Hangs until the client goes, and tells when it has.
pub fn hang(stream: &mut TcpStream, gone: &mpsc::Sender<bool>) {
    let _ = gone.send(closed_within(stream, Duration::from_secs(20)));
}
