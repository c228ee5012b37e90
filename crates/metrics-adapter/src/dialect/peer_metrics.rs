//! What statsd_exporter says about itself, under its names and with its words.

use exposition::{Family, Kind};

use crate::{
    facts::{Facts, Passed},
    figures::{by, family, single},
    line::{Kind as LineKind, Wrong},
    store::counts::Refused,
};

pub(super) fn families(facts: &Facts) -> Vec<Family> {
    let counts = &facts.counts;
    let counter = |name: &str, help: &str, value: u64| single(&named(name), Kind::Counter, help, value);
    let labelled = |name: &str, help: &str, label, samples: Vec<(&str, u64)>| by(&named(name), help, label, samples);
    let not_zero = |samples: Vec<(&'static str, u64)>| samples.into_iter().filter(|(_, number)| *number > 0).collect();
    let kinds = LineKind::ALL.map(|kind| (kind.name(), counts.events[kind as usize]));
    let wrong = Wrong::ALL.map(|wrong| (wrong.reason(), counts.wrong[wrong as usize]));
    let refused = Refused::ALL.into_iter().filter(|refused| *refused != Refused::Conflict);
    let refused = refused.map(|refused| (refused.reason(), counts.refused[refused as usize]));
    let actions = [("map", counts.mapped), ("drop", counts.dropped)];
    let reloads = [("success", facts.reloads), ("failure", facts.failed_reloads)];
    let names = facts.names.iter().map(|(kind, number)| ([("type", (*kind).to_owned())], *number as f64));
    let conflicts = counts.conflicts.iter().map(|((kind, name), times)| {
        ([("metric_name", name.to_string()), ("type", kind.name().to_owned())], *times as f64)
    });
    let kernel_drops = facts.drops.iter().map(|(_, lost)| lost).sum();
    let mut all = vec![
        counter("lines_total", "The total number of StatsD lines received.", counts.lines),
        counter("samples_total", "The total number of StatsD samples received.", counts.samples),
        labelled(
            "sample_errors_total",
            "The total number of errors parsing StatsD samples.",
            "reason",
            not_zero(wrong.into()),
        ),
        counter("tags_total", "The total number of DogStatsD tags processed.", counts.tagged),
        counter("tag_errors_total", "The number of errors parsing DogStatsD tags.", counts.tag_errors),
        labelled("events_total", "The total number of StatsD events seen.", "type", not_zero(kinds.into())),
        counter("event_queue_flushed_total", "Number of times events were flushed to exporter", 0),
        counter(
            "events_unmapped_total",
            "The total number of StatsD events no mapping was found for.",
            counts.unmapped,
        ),
        labelled(
            "events_actions_total",
            "The total number of StatsD events by action.",
            "action",
            not_zero(actions.into()),
        ),
        labelled(
            "events_error_total",
            "The total number of StatsD events discarded due to errors.",
            "reason",
            not_zero(refused.collect()),
        ),
        family(
            &named("events_conflict_total"),
            Kind::Counter,
            "The total number of StatsD events with conflicting names.",
            conflicts,
        ),
        counter("udp_packets_total", "The total number of StatsD packets received over UDP.", facts.udp_packets),
        counter(
            "udp_packet_drops_total",
            "The total number of dropped StatsD packets which received over UDP.",
            kernel_drops,
        ),
        counter("tcp_connections_total", "The total number of TCP connections handled.", facts.connections),
        counter(
            "tcp_connection_errors_total",
            "The number of errors encountered reading from TCP.",
            facts.connection_errors,
        ),
        counter("tcp_too_long_lines_total", "The number of lines discarded due to being too long.", facts.long_lines),
        counter(
            "unixgram_packets_total",
            "The total number of StatsD packets received over Unixgram.",
            facts.unixgram_packets,
        ),
        labelled("config_reloads_total", "The number of configuration reloads.", "outcome", not_zero(reloads.into())),
        single(
            &named("loaded_mappings"),
            Kind::Gauge,
            "The current number of configured metric mappings.",
            facts.mappings as u64,
        ),
        family(&named("metrics_total"), Kind::Gauge, "The total number of metrics.", names),
        family(
            &named("build_info"),
            Kind::Gauge,
            "A metric with a constant '1' value labeled by version, and who is in the place of statsd_exporter.",
            [([("version", env!("CARGO_PKG_VERSION").to_owned()), ("branch", "metrics-adapter".to_owned())], 1.0)],
        ),
    ];
    let relays = |number: fn(&Passed) -> u64| {
        facts.relays.iter().map(|relay| (relay.target.as_str(), number(relay))).collect::<Vec<_>>()
    };
    all.extend([
        labelled(
            "relay_packets_total",
            "The number of StatsD packets relayed.",
            "target",
            relays(|relay| relay.packets),
        ),
        labelled(
            "relay_long_lines_total",
            "The number lines that were too long to relay.",
            "target",
            relays(|relay| relay.long_lines),
        ),
        labelled(
            "relay_lines_relayed_total",
            "The number of lines that were buffered to be relayed.",
            "target",
            relays(|relay| relay.lines),
        ),
    ]);
    all.retain(|family| !family.series.is_empty());
    all
}

fn named(suffix: &str) -> String {
    format!("statsd_exporter_{suffix}")
}
