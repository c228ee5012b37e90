//! How much CPU each format costs: `cargo run --release -p log-shipper --example parse_speed [NAME]`.
//!
//! Parses 200 MB of made-up lines and prints CPU seconds per GB, which stay the same however busy the machine is.
#![allow(clippy::disallowed_methods, reason = "a measurement, not a part of the sidecar")]

use std::{fmt::Write, fs, hint::black_box, sync::Arc};

use log_shipper::{
    parse::{
        Format, Parsed, TimeField,
        access::{self, EXPRESSIONS, Shape},
        container, json, logfmt, ltsv,
        multiline::{Grouper, Grouping, Rules},
        pieces::Pieces,
        regex, time,
        types::Types,
    },
    record::{Field, Time, recycle},
};

const BYTES: usize = 200_000_000;

fn main() {
    let wanted = std::env::args().nth(1);
    println!("{:<20} {:>12} {:>12} {:>12}", "format", "bytes/line", "CPU-s/GB", "MB/CPU-s");
    for (name, line, work) in cases() {
        if wanted.as_ref().is_none_or(|wanted| name.contains(wanted)) {
            measure(name, &lines(line), &*work);
        }
    }
}

const ACCESS_TIME: &str = "%d/%b/%Y:%H:%M:%S %z";

type Case = (&'static str, fn(&mut Dice, &mut String), Box<dyn Fn(&str)>);

fn cases() -> Vec<Case> {
    let json = |time| Format::Json(json::Options { time });
    let logfmt = logfmt::Options { time: field("ts", "rfc3339"), ..Default::default() };
    let ltsv = ltsv::Options { time: field("time", ACCESS_TIME), ..Default::default() };
    let types = Types::parse("code:integer size:integer").expect("types");
    let time = field("time", ACCESS_TIME);
    let access = |shape, time| Format::Access(access::Options { shape, time, types: types.clone(), skip_empty: true });
    let expression = |index: usize| {
        let options = regex::Options::new(EXPRESSIONS[index].1, time.clone(), &types, true);
        Format::Regex(options.expect("an expression"))
    };
    vec![
        ("json", json_line, parsing(json(field("time", "rfc3339")))),
        ("json as it is", json_line, parsing(json(None))),
        ("logfmt", logfmt_line, parsing(Format::Logfmt(logfmt))),
        ("ltsv", ltsv_line, parsing(Format::Ltsv(ltsv))),
        ("nginx", access_line, parsing(access(Shape::Nginx, time.clone()))),
        ("nginx without time", access_line, parsing(access(Shape::Nginx, None))),
        ("apache2", access_line, parsing(access(Shape::Apache2, time.clone()))),
        ("nginx by regex", access_line, parsing(expression(0))),
        ("apache2 by regex", access_line, parsing(expression(3))),
        ("cri", cri_line, Box::new(join)),
        ("docker", docker_line, Box::new(join)),
        ("java traces", access_line, grouping(Grouping::Rules(Rules::builtin("java").expect("java")))),
        ("first lines", access_line, grouping(Grouping::start(r"^\d+\.\d+").expect("an expression"))),
        ("times written", access_line, Box::new(write_times)),
    ]
}

fn parsing(format: Format) -> Box<dyn Fn(&str)> {
    Box::new(move |text| {
        let mut fields: Vec<Field<'_>> = Vec::new();
        for line in text.lines() {
            let mut filled = recycle(fields);
            let parsed = format.parse(line, &mut filled);
            assert!(parsed != Parsed::Not, "{line}");
            black_box((&parsed, &filled));
            fields = filled;
        }
    })
}

fn join(text: &str) {
    let mut pieces = Pieces::new(1 << 20);
    for line in text.lines() {
        let piece = container::split(line).expect("a container's line");
        black_box(pieces.take(piece, 0));
    }
}

fn grouping(grouping: Grouping) -> Box<dyn Fn(&str)> {
    let grouping = Arc::new(grouping);
    Box::new(move |text| {
        let mut grouper = Grouper::new(Arc::clone(&grouping));
        for line in text.lines() {
            black_box(grouper.step(line.as_bytes()));
        }
    })
}

/// A time for each line, some hundred in a second.
fn write_times(text: &str) {
    let mut writer = time::Writer::default();
    let mut out = Vec::new();
    for (number, _) in (0..).zip(text.lines()) {
        out.clear();
        writer.millis(Time(number * 3_000_000), &mut out);
        black_box(&out);
    }
}

fn field(name: &str, format: &str) -> Option<TimeField> {
    let format = time::Format::new(format).expect("a format");
    Some(TimeField { name: name.into(), format, keep: false })
}

fn measure(name: &str, text: &str, work: &dyn Fn(&str)) {
    let floor = seconds(|| {
        black_box(text.lines().count());
    });
    // The best of three: what else the machine does can only add.
    let spent = (0..3).map(|_| seconds(|| work(text))).fold(f64::MAX, f64::min) - floor;
    let per_gb = spent / (text.len() as f64 / 1e9);
    let bytes = text.len() / text.lines().count();
    println!("{name:<20} {bytes:>12} {per_gb:>12.2} {:>12.0}", 1000.0 / per_gb);
}

fn seconds(work: impl FnOnce()) -> f64 {
    let before = cpu();
    work();
    cpu() - before
}

/// What this thread has had of a processor so far.
fn cpu() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}

fn lines(line: fn(&mut Dice, &mut String)) -> String {
    let mut text = String::with_capacity(BYTES + 1024);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    while text.len() < BYTES {
        line(&mut dice, &mut text);
        text.push('\n');
    }
    text
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.roll(from.len() as u64) as usize]
    }
}

const PATHS: [&str; 4] = ["/", "/api/v1/orders", "/static/js/app.8f3e2a.js?v=2", "/api/v1/users/1938/basket/items"];
const AGENTS: [&str; 3] =
    ["Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "curl/8.5.0", "kube-probe/1.31"];

fn json_line(dice: &mut Dice, out: &mut String) {
    let (second, millis) = (dice.roll(60), dice.roll(1000));
    let (level, path) = (dice.pick(&["info", "warn", "error"]), dice.pick(&PATHS));
    let (took, id, status) = (dice.roll(10_000), dice.roll(u64::MAX), dice.pick(&["200", "404", "503"]));
    let _ = write!(
        out,
        r#"{{"time":"2026-11-21T05:13:{second:02}.{millis:03}Z","level":"{level}","logger":"com.example.shop.OrderService","#
    );
    let _ = write!(
        out,
        r#""msg":"request \"{path}\" finished","http":{{"method":"GET","path":"{path}","status":{status}}},"#
    );
    let _ = write!(out, r#""took_ms":{took}.25,"trace":"{id:032x}","cached":false,"user":null}}"#);
}

fn logfmt_line(dice: &mut Dice, out: &mut String) {
    let (second, took, path) = (dice.roll(60), dice.roll(10_000), dice.pick(&PATHS));
    let message = dice.pick(&["request finished", "said \\\"no\\\"", "took too long"]);
    let _ = write!(
        out,
        "ts=2026-11-21T05:13:{second:02}Z level=info component=http msg=\"{message}\" path={path} status=200 took={took}ms"
    );
}

fn ltsv_line(dice: &mut Dice, out: &mut String) {
    let (host, second, path) = (dice.roll(256), dice.roll(60), dice.pick(&PATHS));
    let (size, agent) = (dice.roll(100_000), dice.pick(&AGENTS));
    let _ = write!(
        out,
        "time:21/Nov/2026:05:13:{second:02} +0000\thost:10.0.0.{host}\treq:GET {path} HTTP/1.1\tstatus:200\tsize:{size}\tua:{agent}"
    );
}

fn access_line(dice: &mut Dice, out: &mut String) {
    let (host, second, path) = (dice.roll(256), dice.roll(60), dice.pick(&PATHS));
    let (size, agent) = (dice.roll(100_000), dice.pick(&AGENTS));
    let _ = write!(
        out,
        "10.0.0.{host} - - [21/Nov/2026:05:13:{second:02} +0000] \"GET {path} HTTP/1.1\" 200 {size} \"https://shop.example.com/\" \"{agent}\""
    );
}

fn cri_line(dice: &mut Dice, out: &mut String) {
    let (second, nanos, partial) = (dice.roll(60), dice.roll(1_000_000_000), dice.roll(20) == 0);
    let tag = if partial { "P" } else { "F" };
    let _ = write!(out, "2026-11-21T05:13:{second:02}.{nanos:09}Z stdout {tag} ");
    access_line(dice, out);
}

fn docker_line(dice: &mut Dice, out: &mut String) {
    let (second, nanos) = (dice.roll(60), dice.roll(1_000_000_000));
    let (path, took) = (dice.pick(&PATHS), dice.roll(10_000));
    let message =
        dice.pick(&["request finished", "said \\\"no\\\"", "took too long to come to an end, as the client was slow"]);
    let _ = write!(
        out,
        r#"{{"log":"INFO com.example.shop.OrderService {path} {message}, {took} ms\n","stream":"stdout","time":"2026-11-21T05:13:{second:02}.{nanos:09}Z"}}"#
    );
}
