//! What writing records down costs, in CPU seconds for each GB of lines, without reading and without sending:
//! `cargo run --release -p log-shipper --example encode_speed [MB]`.
#![allow(clippy::unwrap_used, reason = "a program for developers")]

use log_shipper::{
    output::{
        Encode, Ship,
        elasticsearch::{Elasticsearch, Index},
        gzip::{Compression, pack, unpack},
        web::Web,
    },
    record::{Body, Field, Json, Origin, Record, Time, Value},
};
use rustix::time::{ClockId, clock_gettime};

/// As large as bodies are at the defaults.
const BODY: usize = 1 << 20;
/// The quickest of so many rounds counts: the others were disturbed.
const ROUNDS: u32 = 5;
/// The time of a record is that of the read it came with.
const READ: u64 = 256 << 10;

fn main() {
    let megabytes: u64 = std::env::args().nth(1).map_or(200, |text| text.parse().unwrap());
    let lines = lines(16 << 20);
    let average = lines.iter().map(|line| line.len() + 1).sum::<usize>() / lines.len();
    println!("{megabytes} MB of nginx lines, {average} bytes each");
    let web = || Web::new(vec!["http://127.0.0.1:9200".into()]);
    let plain = || Elasticsearch::new(web(), "nginx-logs".parse::<Index>().unwrap());
    let packed = Web { compression: Compression::Gzip, ..web() };
    for (name, output) in [
        ("as it is", plain()),
        ("without ids", Elasticsearch { ids: false, ..plain() }),
        (
            "index by date, tag",
            Elasticsearch { index: "logs-%Y.%m.%d".parse().unwrap(), tag_key: Some("tag".into()), ..plain() },
        ),
        ("gzip", Elasticsearch { web: packed, ..plain() }),
    ] {
        measure(&format!("line, {name}"), &output, &lines, megabytes, Body::Line);
    }
    let members = |line: &'static [u8]| std::str::from_utf8(line).unwrap();
    let json: Vec<&'static [u8]> = lines.iter().map(|line| json(line)).collect();
    measure("JSON, as it is", &plain(), &json, megabytes, |line| {
        Body::Json(Json { members: [members(line), ""], has_timestamp: false })
    });
    const FIELDS: [Field<'static>; 4] = [
        Field { name: "remote", value: Value::Text("10.20.30.40") },
        Field { name: "method", value: Value::Text("GET") },
        Field { name: "code", value: Value::Integer(200) },
        Field { name: "size", value: Value::Integer(5310) },
    ];
    measure("4 fields of each line", &plain(), &lines, megabytes, |_| Body::Fields(&FIELDS));
    let body = vec![b'x'; BODY];
    assert_eq!(unpack(&pack(&body)).unwrap(), body);
}

fn measure(
    name: &str,
    output: &Elasticsearch,
    lines: &[&'static [u8]],
    megabytes: u64,
    body: impl Fn(&'static [u8]) -> Body<'static>,
) {
    let origin = Origin {
        tag: "nginx".into(),
        path: "/var/log/nginx/access.log".into(),
        fields: Vec::new(),
        line_key: "log".into(),
    };
    let mut best = f64::MAX;
    let mut growth = 0.0;
    for _ in 0..ROUNDS {
        let (mut encode, _) = output.open().unwrap();
        let (mut offset, mut written) = (0, 0);
        let begun = cpu();
        while offset < megabytes * 1_000_000 {
            for line in lines {
                let time = Time(1_795_238_396_000_000_000 + (offset / READ * 700_000).cast_signed());
                let file = 0x1234_5678_9abc_def0;
                encode.record(&Record { origin: &origin, file, offset, raw: line, time, body: body(line) });
                offset += line.len() as u64 + 1;
                if encode.size() >= BODY {
                    written += seal(encode.as_mut());
                }
            }
        }
        let gigabytes = offset as f64 / 1e9;
        best = best.min((cpu() - begun) / gigabytes);
        growth = written as f64 / offset as f64;
    }
    println!("{name:24} {best:6.3} CPU-s/GB {growth:5.2} bytes out for each in");
}

fn seal(encode: &mut dyn Encode) -> u64 {
    std::hint::black_box(encode.seal()).len() as u64
}

fn cpu() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Lines as nginx writes them, no two alike.
fn lines(bytes: usize) -> Vec<&'static [u8]> {
    let mut random = 88_172_645_463_325_252_u64;
    let mut below = |most: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % most
    };
    let mut lines = Vec::new();
    let mut size = 0;
    while size < bytes {
        let line = format!(
            "10.{}.{}.{} - - [21/Nov/2026:05:{:02}:{:02} +0000] \"GET /api/v1/items/{}?page={} HTTP/1.1\" {} {} \"-\" \
             \"Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Firefox\" {}.{:03}",
            below(256),
            below(256),
            below(256),
            below(60),
            below(60),
            below(1_000_000),
            below(20),
            [200, 200, 200, 304, 404, 500][below(6) as usize],
            below(100_000),
            90 + below(30),
            below(3),
            below(1000),
        );
        size += line.len() + 1;
        lines.push(&*line.into_bytes().leak());
    }
    lines
}

/// About as many bytes, as the members of an object.
fn json(line: &[u8]) -> &'static [u8] {
    let text = std::str::from_utf8(line).unwrap();
    let words: Vec<_> = text.split(['"', ' ']).filter(|word| !word.is_empty()).take(12).collect();
    let members: Vec<_> = words.iter().enumerate().map(|(at, word)| format!("\"f{at}\":\"{word}\"")).collect();
    members.join(",").into_bytes().leak()
}
