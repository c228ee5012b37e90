//! statsd_exporter's own test tables against the real `metrics-adapter`, over real sockets: every packet is sent, and what
//! is exposed is compared with what the real statsd_exporter exposed. Where we differ on purpose is written down here, and
//! in docs/metrics-adapter-statsd.md.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests: a surprise must fail loudly")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::{TcpStream, UdpSocket},
    time::Duration,
};

use serde_json::Value;
use test_kit::{Sidecar, TempDir, eventually};

const PATIENCE: Duration = Duration::from_secs(20);

/// Cases whose answer is another one on purpose, and why.
const DELIBERATE: [(&str, &str); 0] = [];

fn cases() -> Vec<Value> {
    let text = include_str!("fixtures/metrics-adapter/statsd_exporter.json");
    let file: Value = serde_json::from_str(text).unwrap();
    file["upstream"].as_array().unwrap().clone()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn packets(case: &Value) -> Vec<Vec<u8>> {
    let packet = |packet: &Value| match packet {
        Value::String(text) => text.clone().into_bytes(),
        other => from_base64(other["b64"].as_str().unwrap()),
    };
    case["packets"].as_array().unwrap().iter().map(packet).collect()
}

fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = text.bytes().filter_map(|byte| ALPHABET.iter().position(|known| *known == byte));
    let (mut out, mut gathered, mut count) = (Vec::new(), 0_u32, 0);
    for six in bits {
        gathered = gathered << 6 | six as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((gathered >> count) as u8);
        }
    }
    out
}

/// One run: what is exposed of lines, and what the process says of itself under the peer's names.
struct Seen {
    exposed: BTreeSet<String>,
    own: BTreeMap<String, f64>,
}

fn seen(text: &str) -> Seen {
    let is_own = |line: &str| {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        ["metrics_adapter_", "process_", "statsd_exporter_"].iter().any(|prefix| name.starts_with(prefix))
    };
    let exposed = text.lines().filter(|line| !is_own(line)).map(normal).collect();
    let samples = text.lines().filter(|line| line.starts_with("statsd_exporter_")).filter_map(|l| l.rsplit_once(' '));
    let unimportant = ["metrics_total", "build_info", "loaded_mappings", "config_reloads_total"];
    let own = samples.filter(|(name, _)| !unimportant.iter().any(|word| name.contains(word)));
    let own = own.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).filter(|(_, value)| *value != 0.0);
    Seen { exposed, own: own.collect() }
}

/// Numbers to nine digits: sums differ by the order of additions.
fn normal(line: &str) -> String {
    match line.rsplit_once(' ') {
        Some((name, value)) if !line.starts_with('#') => match value.parse::<f64>() {
            Ok(number) => format!("{name} {number:.9e}"),
            Err(_) => line.to_owned(),
        },
        _ => line.to_owned(),
    }
}

fn start(case: &Value, dir: &TempDir) -> Sidecar {
    let mut args = vec![
        "--web.listen-address=127.0.0.1:0".to_owned(),
        "--statsd.listen-udp=127.0.0.1:0".to_owned(),
        "--statsd.listen-tcp=127.0.0.1:0".to_owned(),
    ];
    args.extend(texts(&case["flags"]));
    if let Some(mapping) = case["mapping"].as_str() {
        args.push(format!("--statsd.mapping-config={}", dir.put("mapping.yaml", mapping)));
    }
    Sidecar::start(env!("CARGO_BIN_EXE_metrics-adapter")).argv0("statsd_exporter").own_admin().args(args).spawn()
}

fn send(sidecar: &Sidecar, transport: &str, packets: &[Vec<u8>]) {
    match transport {
        "udp" => {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let port = sidecar.port_of("statsd udp");
            for packet in packets {
                socket.send_to(packet, ("127.0.0.1", port)).unwrap();
            }
        }
        _ => {
            for packet in packets {
                let mut stream = TcpStream::connect(("127.0.0.1", sidecar.port_of("statsd tcp"))).unwrap();
                stream.write_all(packet).unwrap();
            }
        }
    }
}

/// What is wrong with the answer to this case, if anything is.
fn judge(case: &Value, transport: &str) -> Option<String> {
    let observed = &case["observed"][transport];
    if observed.is_null() {
        return None;
    }
    let dir = TempDir::new();
    let sidecar = start(case, &dir);
    if !observed["started"].as_bool().unwrap() {
        let code = sidecar.wait_exit();
        return (code != 78).then(|| format!("expected it to refuse the mapping, it ended with {code}"));
    }
    if sidecar.wait_log(|line| matches!(line.message().as_str(), "ready" | "stopped")).message() == "stopped" {
        return Some(format!("it did not start: {}", sidecar.stderr()));
    }
    send(&sidecar, transport, &packets(case));
    let expected_exposed: BTreeSet<String> = texts(&observed["exposition"]).iter().map(|line| normal(line)).collect();
    let own = observed["self"].as_object().unwrap().iter();
    let mut expected_own: BTreeMap<String, f64> =
        own.map(|(name, value)| (name.clone(), value.as_f64().unwrap())).collect();
    expected_own.retain(|name, _| !name.contains("metrics_total"));
    let mut last = seen("");
    let agrees = eventually(Duration::from_secs(3), || {
        last = seen(&sidecar.admin_get("/metrics").1);
        last.exposed == expected_exposed && last.own == expected_own
    });
    if agrees {
        return None;
    }
    let differ = |name: &str, ours: Vec<String>, theirs: Vec<String>| format!("{name}\n  + {ours:?}\n  - {theirs:?}\n");
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect();
    let own = |one: &BTreeMap<String, f64>, other: &BTreeMap<String, f64>| {
        let differs = one.iter().filter(|(name, value)| other.get(*name) != Some(value));
        differs.map(|(name, value)| format!("{name} {value}")).collect()
    };
    Some(
        differ("exposed", only(&last.exposed, &expected_exposed), only(&expected_exposed, &last.exposed))
            + &differ("own", own(&last.own, &expected_own), own(&expected_own, &last.own)),
    )
}

/// All cases whose id begins so.
fn all_agree(prefix: &str, least: usize) {
    let (mut judged, mut wrong) = (0, Vec::new());
    for case in cases() {
        let id = case["id"].as_str().unwrap();
        if !id.starts_with(prefix) {
            continue;
        }
        judged += 1;
        for transport in ["udp", "tcp"] {
            let verdict = judge(&case, transport);
            let deliberate = DELIBERATE.iter().any(|(known, _)| *known == id);
            match verdict {
                Some(problem) if !deliberate => {
                    wrong.push(format!("{id} ({transport}): {:?}\n{problem}", case["packets"]));
                }
                None if deliberate => wrong.push(format!("{id} ({transport}): agrees, and is said to differ")),
                _ => {}
            }
        }
    }
    assert!(judged >= least, "{judged} cases of {prefix}");
    assert!(wrong.is_empty(), "{} of {judged} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_line_of_the_peers_table_means_the_same() {
    all_agree("line/TestLineToEvents/", 81);
}

#[test]
fn every_line_means_the_same_with_dialects_switched_off() {
    all_agree("line/TestDisable", 195);
}

#[test]
fn every_packet_means_the_same_by_udp_and_tcp() {
    all_agree("bridge/", 54);
}

#[test]
fn every_mapping_names_the_same_series() {
    all_agree("mapper/", 63);
}

#[test]
fn every_metric_is_kept_as_the_peer_keeps_it() {
    all_agree("exporter/", 28);
    all_agree("escape/", 10);
}

#[test]
fn series_end_when_their_time_is_over() {
    let case = cases().into_iter().find(|case| case["id"] == "exporter/TestTtlExpiration").unwrap();
    let dir = TempDir::new();
    let sidecar = start(&case, &dir);
    sidecar.wait_message("ready");
    send(&sidecar, "udp", &packets(&case));
    assert!(eventually(PATIENCE, || sidecar.metric("bazqux_sum") == Some(42.0)));
    assert!(eventually(PATIENCE, || sidecar.metric("foobar").is_none()));
    assert!(eventually(PATIENCE, || sidecar.metric("bazqux_sum").is_none()));
    // The name is free for another type.
    send(&sidecar, "udp", &[b"foobar:1|c".to_vec()]);
    assert!(eventually(PATIENCE, || sidecar.metric("foobar") == Some(1.0)));
}

#[test]
fn lines_are_relayed_as_they_came() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let case = cases().into_iter().find(|case| case["id"] == "relay/TestRelay_RelayLine").unwrap();
    let args = [
        "--web.listen-address=127.0.0.1:0".to_owned(),
        "--statsd.listen-udp=127.0.0.1:0".to_owned(),
        "--statsd.listen-tcp=".to_owned(),
        format!("--statsd.relay.address=127.0.0.1:{}", receiver.local_addr().unwrap().port()),
        "--statsd.relay.packet-length=50".to_owned(),
    ];
    let sidecar =
        Sidecar::start(env!("CARGO_BIN_EXE_metrics-adapter")).argv0("statsd_exporter").own_admin().args(args).spawn();
    sidecar.wait_message("ready");
    let row = &case["relay_table"][0];
    let lines = texts(&row["args"]["lines"]);
    send(&sidecar, "udp", &[lines.join("\n").into_bytes()]);
    let mut packet = [0; 2000];
    let read = receiver.recv(&mut packet).unwrap();
    assert_eq!(std::str::from_utf8(&packet[..read]).unwrap(), row["args"]["expected"].as_str().unwrap());
    let read = receiver.recv(&mut packet).unwrap();
    assert_eq!(&packet[..read], format!("{}\n", lines[1]).as_bytes());
}
