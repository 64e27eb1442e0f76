//! A real nginx for one test: its own folder and ports, gone when the test is.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to start.
const MAX_START: Duration = Duration::from_secs(20);
/// How long a line may take to come into the log.
const MAX_LOG: Duration = Duration::from_secs(20);

/// A running server. It listens on loopback alone.
pub struct Nginx {
    child: Child,
    folder: tempfile::TempDir,
    /// Its ports, in the order in which the configuration names them.
    ports: Vec<u16>,
}

impl Nginx {
    /// Starts one with these servers, where `@0@`, `@1@` and so on stand for its addresses. The files of
    /// `www` lie in the folder that is named like that. None where nginx is not installed, unless it must
    /// be there.
    pub fn start(servers: &str, www: &[(&str, &[u8])]) -> Option<Self> {
        let program = program()?;
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("www")).unwrap();
        for (name, content) in www {
            fs::write(folder.path().join("www").join(name), content).unwrap();
        }
        // Another program may take a port before nginx does.
        for _ in 0..5 {
            let ports = free_ports(servers);
            let mut text = servers.to_owned();
            for (n, port) in ports.iter().enumerate() {
                text = text.replace(&format!("@{n}@"), &format!("127.0.0.1:{port}"));
            }
            fs::write(folder.path().join("nginx.conf"), whole(&text)).unwrap();
            let mut child = Command::new(&program)
                .args(["-c", "nginx.conf", "-e", "error.log", "-p"])
                .arg(folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            if answers(&mut child, &ports) {
                return Some(Self { child, folder, ports });
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("nginx does not start:\n{}", read(&folder.path().join("error.log")));
    }

    /// An address of it, such as `127.0.0.1:8080`.
    pub fn address(&self, n: usize) -> String {
        format!("127.0.0.1:{}", self.ports[n])
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The line of the log on a request to this path, once it has ended: the status, the bytes of the
    /// body that were sent, and what was accepted.
    pub fn logged(&self, path: &str) -> String {
        let began = Instant::now();
        loop {
            let log = read(&self.path("access.log"));
            if let Some(line) = log.lines().find(|line| line.split(' ').next() == Some(path)) {
                return line.to_owned();
            }
            assert!(began.elapsed() < MAX_LOG, "{path} is not in the log:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether a request to this path is in the log.
    pub fn has_logged(&self, path: &str) -> bool {
        read(&self.path("access.log")).lines().any(|line| line.split(' ').next() == Some(path))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where nginx is: Debian puts it where only root looks.
fn program() -> Option<PathBuf> {
    let places = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "nginx"];
    let found = places.into_iter().find(|place| Command::new(place).arg("-v").output().is_ok());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "nginx is missing: apt-get install nginx-light");
        eprintln!("skipped: there is no nginx");
    }
    found.map(PathBuf::from)
}

fn whole(servers: &str) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|of| format!("{of}_temp_path tmp-{of};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\nevents {{}}\nhttp {{\n\
         {temporary}\
         log_format told '$uri $status $body_bytes_sent \"$http_accept_encoding\" \"$http_user_agent\"';\n\
         access_log access.log told;\n\
         types {{ text/html html; text/plain txt; application/json json; }}\n\
         default_type text/plain;\nroot www;\nabsolute_redirect off;\n{servers}\n}}\n"
    )
}

fn free_ports(servers: &str) -> Vec<u16> {
    let count = (0..).take_while(|n| servers.contains(&format!("@{n}@"))).count();
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn answers(child: &mut Child, ports: &[u16]) -> bool {
    let began = Instant::now();
    while began.elapsed() < MAX_START {
        if ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()) {
            // Where the port was taken, somebody else answered.
            return child.try_wait().unwrap().is_none();
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
