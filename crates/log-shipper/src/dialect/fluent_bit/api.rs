//! The paths of its monitoring, for the probes and dashboards that know them.

use std::{fmt::Write as _, time::Instant};

use common::{Answer, Sidecar, prometheus::Registry};

const JSON: &str = "application/json";

pub fn attach(sidecar: &Sidecar) {
    let begun = Instant::now();
    let routes = sidecar.admin();
    routes.get("/api/v1/health", |_| Answer::text(200, "ok"));
    routes.get("/api/v1/uptime", move |_| {
        let seconds = begun.elapsed().as_secs();
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        let text = format!(
            "{days} day{}, {hours} hour{}, {minutes} minute{} and {} second{}",
            s(days),
            s(hours),
            s(minutes),
            seconds % 60,
            s(seconds % 60)
        );
        let body = format!("{{\"uptime_sec\":{seconds},\"uptime_hr\":\"Fluent Bit has been running:  {text}\"}}\n");
        Answer { status: 200, content_type: JSON, body }
    });
    let registry = sidecar.metrics().clone();
    routes.get("/api/v1/metrics", move |_| Answer { status: 200, content_type: JSON, body: json(&outputs(&registry)) });
    let registry = sidecar.metrics().clone();
    let prometheus = move |_: Option<&str>| Answer {
        status: 200,
        content_type: "text/plain; version=0.0.4; charset=utf-8",
        body: exposition(&outputs(&registry)),
    };
    routes.get("/api/v1/metrics/prometheus", prometheus.clone());
    routes.get("/api/v2/metrics/prometheus", prometheus.clone());
    routes.get("/api/v2/metrics", prometheus);
}

fn s(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// What is known of an output, under their names.
struct Output {
    name: String,
    numbers: [(&'static str, f64); 6],
}

/// Their name and ours.
const NAMES: [(&str, &str); 6] = [
    ("proc_records", "log_shipper_records_total"),
    ("proc_bytes", "log_shipper_sent_bytes_total"),
    ("errors", "log_shipper_dropped_records_total"),
    ("retries", "log_shipper_retries_total"),
    ("retries_failed", "log_shipper_dropped_records_total"),
    ("dropped_records", "log_shipper_dropped_records_total"),
];

fn outputs(registry: &Registry) -> Vec<Output> {
    let families = registry.gather();
    let sum = |metric: &str, output: &str| {
        let metrics = families
            .iter()
            .filter(|family| family.name() == metric)
            .flat_map(common::prometheus::proto::MetricFamily::get_metric);
        let of_output = |metric: &&common::prometheus::proto::Metric| {
            metric.get_label().iter().any(|label| label.name() == "output" && label.value() == output)
        };
        metrics.filter(of_output).map(|metric| metric.get_counter().get_value()).sum::<f64>()
    };
    let records = families.iter().filter(|family| family.name() == NAMES[0].1);
    let labels = records
        .flat_map(common::prometheus::proto::MetricFamily::get_metric)
        .flat_map(common::prometheus::proto::Metric::get_label);
    let names = labels.filter(|label| label.name() == "output").map(|label| label.value().to_owned());
    names.map(|name| Output { numbers: NAMES.map(|(theirs, ours)| (theirs, sum(ours, &name))), name }).collect()
}

fn json(outputs: &[Output]) -> String {
    let output = |output: &Output| {
        let numbers = output.numbers.iter().map(|(name, number)| ((*name).to_owned(), (*number as u64).into()));
        (output.name.clone(), serde_json::Value::Object(numbers.collect()))
    };
    let outputs: serde_json::Map<_, _> = outputs.iter().map(output).collect();
    format!("{}\n", serde_json::json!({"input": {}, "filter": {}, "output": outputs}))
}

fn exposition(outputs: &[Output]) -> String {
    let mut text = String::new();
    for (at, (name, _)) in NAMES.iter().enumerate() {
        // A string takes all that is written to it.
        let _ = writeln!(text, "# TYPE fluentbit_output_{name}_total counter");
        for output in outputs {
            let _ =
                writeln!(text, "fluentbit_output_{name}_total{{name=\"{}\"}} {}", output.name, output.numbers[at].1);
        }
    }
    text
}
