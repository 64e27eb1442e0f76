//! A guest that tries to do what it may not: the tests of the host grant it little, and look what it
//! reaches.

#![deny(unsafe_code)]
#![warn(missing_docs)]
#![cfg(target_family = "wasm")]

use bindings::lucid::tool::{disk, http, kernel, kv, log, progress, secrets};
use bindings::wasi::cli::{environment as wasi_environment, exit, stderr, stdout};
use bindings::wasi::clocks::{monotonic_clock, wall_clock};
use bindings::wasi::filesystem::preopens;
use bindings::wasi::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use bindings::wasi::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

/// The most of a file that is read, in bytes.
const MOST: u64 = 1 << 20;

fn folder(number: u32) -> Result<Descriptor, String> {
    let mut folders = preopens::get_directories();
    let all = folders.len();
    if number as usize >= all {
        return Err(format!("there are {all} folders"));
    }
    Ok(folders.swap_remove(number as usize).0)
}

fn code(error: ErrorCode) -> String {
    error.name().to_owned()
}

fn content(folder: &Descriptor, path: &str, follow: bool) -> Result<String, String> {
    let flags = if follow { PathFlags::SYMLINK_FOLLOW } else { PathFlags::empty() };
    let file = folder.open_at(flags, path, OpenFlags::empty(), DescriptorFlags::READ).map_err(code)?;
    let (bytes, _) = file.read(MOST, 0).map_err(code)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn deep(depth: u64) -> u64 {
    if depth == 0 {
        return 0;
    }
    // Kept from becoming a loop.
    std::hint::black_box(deep(depth - 1)) + 1
}

lucid_plugin::plugin! {
    fn folders() -> Vec<String> {
        preopens::get_directories().into_iter().map(|(_, name)| name).collect()
    }

    fn read(number: u32, path: String, follow: bool) -> Result<String, String> {
        content(&folder(number)?, &path, follow)
    }

    fn names(number: u32, path: String) -> Result<Vec<String>, String> {
        let opened = folder(number)?
            .open_at(PathFlags::SYMLINK_FOLLOW, &path, OpenFlags::DIRECTORY, DescriptorFlags::READ)
            .map_err(code)?;
        let stream = opened.read_directory().map_err(code)?;
        let mut names = Vec::new();
        while let Some(entry) = stream.read_directory_entry().map_err(code)? {
            names.push(entry.name);
        }
        names.sort();
        Ok(names)
    }

    fn write(number: u32, path: String, text: String) -> Result<(), String> {
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let file = folder(number)?
            .open_at(PathFlags::SYMLINK_FOLLOW, &path, flags, DescriptorFlags::WRITE)
            .map_err(code)?;
        file.write(text.as_bytes(), 0).map(drop).map_err(code)
    }

    fn link(number: u32, from: String, to: String, symbolic: bool) -> Result<(), String> {
        let folder = folder(number)?;
        if symbolic {
            folder.symlink_at(&from, &to).map_err(code)
        } else {
            folder.link_at(PathFlags::empty(), &from, &folder, &to).map_err(code)
        }
    }

    fn rename(number: u32, from: String, to: String) -> Result<(), String> {
        let folder = folder(number)?;
        folder.rename_at(&from, &folder, &to).map_err(code)
    }

    fn remove(number: u32, path: String) -> Result<(), String> {
        folder(number)?.unlink_file_at(&path).map_err(code)
    }

    fn watch(number: u32, path: String, allowed: String, times: u32) -> Result<u32, String> {
        let folder = folder(number)?;
        let mut good = 0;
        for _ in 0..times {
            match content(&folder, &path, true) {
                Ok(text) if text.starts_with(&allowed) => good += 1,
                Ok(text) if !text.is_empty() => return Err(text),
                // It is just being swapped.
                _ => {}
            }
        }
        Ok(good)
    }

    fn environment() -> Vec<String> {
        let variables = wasi_environment::get_environment();
        let mut all: Vec<String> = variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        all.extend(wasi_environment::get_arguments());
        all.extend(wasi_environment::initial_cwd());
        all
    }

    fn clock() -> u64 {
        wall_clock::now().seconds
    }

    fn spin() {
        loop {
            std::hint::spin_loop();
        }
    }

    fn sleep(seconds: u64) {
        monotonic_clock::subscribe_duration(seconds * 1_000_000_000).block();
    }

    fn eat(mib: u32) -> u32 {
        let mut eaten: Vec<Vec<u8>> = Vec::new();
        for _ in 0..mib {
            eaten.push(vec![1; 1 << 20]);
        }
        std::hint::black_box(&eaten).len() as u32
    }

    fn recurse(depth: u64) -> u64 {
        deep(depth)
    }

    fn flood(bytes: u32) -> String {
        "x".repeat(bytes as usize)
    }

    fn flood_lists(lists: u32) -> Vec<Vec<u32>> {
        vec![vec![1]; lists as usize]
    }

    fn chatter(times: u32) -> u32 {
        let long = "y".repeat(4096);
        for number in 0..times {
            log::log(log::Level::Warn, &format!("{number}\u{1b}[2J {long}"));
            progress::report(&format!("{number}\u{7}\n{long}"), Some(f64::NAN));
            bindings::lucid::tool::diagnostics::report(&long);
            // A host may close them; that it does not break is what is tried.
            let _ = stdout::get_stdout().blocking_write_and_flush(long.as_bytes());
            let _ = stderr::get_stderr().blocking_write_and_flush(long.as_bytes());
        }
        times
    }

    fn measure(text: String) -> u64 {
        text.len() as u64
    }

    fn panic(words: String) {
        panic!("{words}");
    }

    fn leave(well: bool) {
        exit::exit(if well { Ok(()) } else { Err(()) });
    }

    fn fetch(url: String, headers: Vec<(String, String)>, secret: Option<String>) -> Result<String, String> {
        let headers = headers.into_iter().map(|(name, value)| http::Header { name, value }).collect();
        let secrets = secret.into_iter().map(|secret| http::SecretHeader {
            name: "authorization".into(),
            prefix: "Bearer ".into(),
            secret,
        });
        let request = http::Request {
            method: "GET".into(),
            url,
            headers,
            secrets: secrets.collect(),
            body: Vec::new(),
            max_bytes: None,
        };
        let response = http::send(&request).map_err(|failure| format!("{failure:?}"))?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        Ok(format!("{} {} {text}", response.status, response.url))
    }

    fn fetch_often(url: String, times: u32) -> Result<String, String> {
        let mut last = String::new();
        for _ in 0..times {
            last = fetch(url.clone(), Vec::new(), None)?;
        }
        Ok(last)
    }

    fn connect(a: u8, b: u8, c: u8, d: u8, port: u16) -> Result<(), String> {
        let socket = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4)
            .map_err(|error| format!("{error:?}"))?;
        let network = instance_network::instance_network();
        let to = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (a, b, c, d) });
        socket.start_connect(&network, to).map_err(|error| format!("{error:?}"))?;
        socket.subscribe().block();
        socket.finish_connect().map(drop).map_err(|error| format!("{error:?}"))
    }

    fn datagram() -> Result<(), String> {
        let socket = udp_create_socket::create_udp_socket(IpAddressFamily::Ipv4)
            .map_err(|error| format!("{error:?}"))?;
        let network = instance_network::instance_network();
        let any = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) });
        socket.start_bind(&network, any).map_err(|error| format!("{error:?}"))?;
        socket.finish_bind().map_err(|error| format!("{error:?}"))
    }

    fn resolve(name: String) -> Result<(), String> {
        let network = instance_network::instance_network();
        let found = ip_name_lookup::resolve_addresses(&network, &name).map_err(|error| format!("{error:?}"))?;
        found.subscribe().block();
        found.resolve_next_address().map(drop).map_err(|error| format!("{error:?}"))
    }

    fn has_secret(name: String) -> bool {
        secrets::has(&name)
    }

    fn search(query: String) -> Result<u32, String> {
        disk::search(&query, 10).map(|hits| hits.len() as u32)
    }

    fn lines(path: String, first: u32, last: u32) -> Result<String, String> {
        disk::read(&path, first, last)
    }

    fn ask(times: u32, tokens: u32) -> Result<u32, String> {
        for _ in 0..times {
            kernel::ask("Say yes.", tokens)?;
        }
        Ok(times)
    }

    fn keep(key: String, bytes: u32) -> Result<(), String> {
        kv::set(&key, &vec![7; bytes as usize])
    }

    fn kept(key: String) -> Result<Option<u32>, String> {
        Ok(kv::get(&key)?.map(|value| value.len() as u32))
    }

    fn picture() -> Image {
        Image { media_type: "image/png".into(), data: vec![137, 80, 78, 71], description: "a dot".into() }
    }
}
