//! Log files as web servers and apps write them, as large as is asked for.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

/// So many different lines; then they come again.
const LINES: u64 = 60_000;

pub(crate) fn nginx(path: &Path, bytes: u64) -> io::Result<()> {
    const PATHS: [&str; 5] = ["/", "/index.html", "/static/app.js", "/login", "/img/logo.png"];
    const AGENTS: [&str; 3] =
        ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "curl/8.5.0", "Go-http-client/1.1"];
    fill(path, bytes, |n| {
        let path = if n % 6 == 5 { format!("/api/v1/users/{n}") } else { PATHS[(n % 5) as usize].to_owned() };
        format!(
            "10.{}.{}.{} - - [21/Nov/2026:05:{:02}:{:02} +0000] \"GET {path} HTTP/1.1\" {} {} \"https://example.org/\" \"{}\"\n",
            n % 7,
            n % 251,
            n % 253,
            n / 60 % 60,
            n % 60,
            [200, 200, 304, 404][(n % 4) as usize],
            100 + n * 7919 % 99_900,
            AGENTS[(n % 3) as usize],
        )
    })
}

pub(crate) fn json(path: &Path, bytes: u64) -> io::Result<()> {
    fill(path, bytes, |n| {
        let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!(
            "{{\"time\":\"2026-11-21T05:{:02}:{:02}.{:03}Z\",\"level\":\"info\",\"logger\":\"app.http\",\"msg\":\"request done \\\"ok\\\"\",\
             \"method\":\"GET\",\"path\":\"/api/v1/users/{n}\",\"status\":200,\"duration_ms\":{}.{:02},\
             \"request_id\":\"{hash:016x}{hash:016x}\",\"user\":{{\"id\":{n},\"name\":\"user{n}\"}},\"tags\":[\"a\",\"b\"]}}\n",
            n / 60 % 60,
            n % 60,
            n % 1000,
            n % 97,
            n % 100,
        )
    })
}

fn fill(path: &Path, bytes: u64, line: impl Fn(u64) -> String) -> io::Result<()> {
    let block: String = (0..LINES).map(line).collect();
    let mut file = BufWriter::new(File::create(path)?);
    let mut left = bytes;
    while left > 0 {
        let whole =
            block[..block.len().min(usize::try_from(left).unwrap_or(usize::MAX))].rfind('\n').map_or(0, |end| end + 1);
        file.write_all(&block.as_bytes()[..whole])?;
        left = if whole < block.len() { 0 } else { left - whole as u64 };
    }
    file.flush()
}
