//! What was measured on, and whether its timings are worth anything.

use std::fs;

/// Programs that make timings worthless.
const NOISY: [&str; 6] = ["rustc", "cc1", "cc1plus", "ld", "rust-lld", "as"];

pub(crate) fn print() {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = text("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("an unknown processor");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let kernel = text("/proc/sys/kernel/osrelease");
    let load = text("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    println!("{cores} cores of {model}, Linux {}, load {load}. Loopback only.", kernel.trim());
    let noisy = noisy();
    if noisy > 0 {
        println!("\n**{noisy} compilers are running: times below are worthless; sizes, memory and threads are not.**");
    }
}

fn noisy() -> usize {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = names.filter_map(|process| fs::read_to_string(process.path().join("comm")).ok());
    names.filter(|name| NOISY.contains(&name.trim())).count()
}
