//! Packets of statsd lines, sent at a pace.

use std::{
    fmt::Write,
    net::UdpSocket,
    thread::sleep,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Counters,
    /// Counters, gauges and timers with four tags.
    Mixed,
    /// Each name once.
    Random,
}

pub(crate) struct Load {
    pub(crate) series: usize,
    pub(crate) lines_in_packet: usize,
    pub(crate) lines_per_second: u64,
    pub(crate) shape: Shape,
}

impl Load {
    pub(crate) fn new(series: usize, lines_in_packet: usize, lines_per_second: u64, shape: Shape) -> Self {
        Self { series, lines_in_packet, lines_per_second, shape }
    }

    fn line(&self, nth: usize, text: &mut String) {
        let tags = format_args!("#env:prod,region:eu-1,pod:web-{},code:{}", nth % 97, 200 + nth % 7).to_string();
        // Writing to a String cannot fail.
        let _ = match (self.shape, nth % 4) {
            (Shape::Counters, _) => write!(text, "app.requests.{nth}.total:1|c"),
            (Shape::Random, _) => write!(text, "r{:x}:1|c|#u:{nth}", nth.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            (Shape::Mixed, 0) => write!(text, "app.queue.{nth}:{}|g|{tags}", nth % 100),
            (Shape::Mixed, 1) => write!(text, "app.latency.{nth}:{}|ms|{tags}", 3 + nth % 250),
            (Shape::Mixed, _) => write!(text, "app.requests.{nth}:1|c|{tags}"),
        };
    }

    fn packets(&self) -> Vec<String> {
        let packet = |first: usize| {
            let mut text = String::new();
            for nth in first..(first + self.lines_in_packet).min(self.series) {
                if nth > first {
                    text.push('\n');
                }
                self.line(nth, &mut text);
            }
            text
        };
        (0..self.series).step_by(self.lines_in_packet).map(packet).collect()
    }
}

pub(crate) struct Sender {
    socket: UdpSocket,
    packets: Vec<String>,
    next: usize,
}

/// So many lines a second when nothing is measured but what is there afterwards.
const GENTLY: u64 = 100_000;

impl Sender {
    pub(crate) fn new(port: u16, load: &Load) -> Result<Self, String> {
        let socket = UdpSocket::bind("127.0.0.1:0").and_then(|socket| {
            socket.connect(("127.0.0.1", port))?;
            Ok(socket)
        });
        let socket = socket.map_err(|error| format!("UDP: {error}"))?;
        Ok(Self { socket, packets: load.packets(), next: 0 })
    }

    /// Every line once.
    pub(crate) fn once(&mut self, load: &Load) -> Result<(), String> {
        let time = Duration::from_secs_f64(load.series as f64 / GENTLY.min(load.lines_per_second) as f64);
        self.paced(self.packets.len() as u64, time).map(drop)
    }

    /// At the pace of the load, for so long. How many lines went out.
    pub(crate) fn send(&mut self, load: &Load, time: Duration) -> Result<u64, String> {
        let packets = load.lines_per_second / load.lines_in_packet as u64;
        self.paced((packets as f64 * time.as_secs_f64()) as u64, time)
    }

    /// In steps of a millisecond, and not too many at once after a pause that was too long.
    fn paced(&mut self, packets: u64, time: Duration) -> Result<u64, String> {
        let begun = Instant::now();
        let (mut sent, mut lines) = (0, 0);
        while sent < packets {
            let due = (packets as f64 * begun.elapsed().as_secs_f64() / time.as_secs_f64()) as u64;
            let step = (packets / 1000).clamp(32, 400);
            for _ in 0..due.min(packets).saturating_sub(sent).min(step) {
                let packet = &self.packets[self.next];
                self.next = (self.next + 1) % self.packets.len();
                self.socket.send(packet.as_bytes()).map_err(|error| format!("UDP: {error}"))?;
                sent += 1;
                lines += packet.bytes().filter(|byte| *byte == b'\n').count() as u64 + 1;
            }
            if due <= sent {
                sleep(Duration::from_micros(500));
            }
        }
        Ok(lines)
    }
}
