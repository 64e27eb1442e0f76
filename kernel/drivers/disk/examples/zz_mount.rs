//! tmp
#![allow(clippy::all, clippy::print_stdout, clippy::unwrap_used)]
use lucid_disk::*;
use lucid_kernel::port::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let d = TantivyDisk::open(std::path::Path::new(&a[2]), Limits::default()).unwrap();
    let s = std::time::Instant::now();
    let r = d
        .mount(&a[1], &MountOptions { hidden: false, rebuild: true }, &CancelFlag::new(), &mut |_| {})
        .unwrap();
    println!("{:?} {} MB/s pages {}", s.elapsed(), r.bytes as f64 / 1e6 / s.elapsed().as_secs_f64(), r.pages);
    println!(
        "{}",
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .filter(|l| l.contains("Rss") || l.contains("VmHWM"))
            .collect::<Vec<_>>()
            .join("; ")
    );
}
