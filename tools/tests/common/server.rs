//! A server of the tests' own that keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub struct Server {
    pub port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a server");
        let port = listener.local_addr().expect("a server").port();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                std::thread::spawn(move || serve(stream, &log));
            }
        });
        Self { port, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn granted(&self) -> String {
        format!("net:127.0.0.1:{}", self.port)
    }

    /// Each request: its head, an empty line, its body.
    pub fn requests(&self) -> Vec<String> {
        self.seen.lock().expect("a server").clone()
    }
}

/// `/to?URL` redirects there, `/slow` never ends, `/big` is 40 MB, `/breaks` says more than it sends,
/// `/garbage` is no answer; all else is answered with `hello`.
fn serve(mut stream: TcpStream, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("the other end"));
    let (mut request, mut line, mut length) = (String::new(), String::new(), 0);
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap_or(0);
        }
        request.push_str(&line);
        line.clear();
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    request.push_str("\r\n");
    request.push_str(&String::from_utf8_lossy(&body));
    let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
    log.lock().expect("the log").push(request);
    let answer = |status: &str, extra: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\n{extra}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
    };
    let text = match path.split_once('?') {
        Some(("/to", url)) => answer("302 Found", &format!("location: {url}\r\n"), ""),
        _ if path == "/slow" => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n");
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(200));
            }
            return;
        }
        _ if path == "/big" => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 40000000\r\n\r\n");
            while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
            return;
        }
        _ if path == "/breaks" => "HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\nshort".to_owned(),
        _ if path == "/garbage" => "\u{0}\u{1}nonsense\r\n\r\n".to_owned(),
        _ => answer("200 OK", "x-one: two\r\n", "hello"),
    };
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = reader.read(&mut [0; 64]);
}
