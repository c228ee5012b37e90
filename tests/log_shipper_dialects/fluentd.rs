//! Fluentd's configurations, and what comes out at the other end.

use std::{fs, process::Command};

use test_kit::{HookServer, Reply, forward::ForwardServer};

use crate::{Bench, wait_stdout};

const SEED: &str = include_str!("../fixtures/log-shipper/fluentd/seed.conf");

const TO_STDOUT: &str = "<match **>\n  @type stdout\n  <format>\n    @type json\n  </format>\n</match>\n";

fn source(name: &str, more: &str) -> String {
    format!("<source>\n  @type tail\n  path DIR/{name}.log\n  tag {name}\n  read_from_head true\n{more}\n</source>\n")
}

#[test]
fn the_seeds_config_is_good_as_it_is() {
    let bench = Bench::new();
    let file = bench.put("fluent.conf", SEED);
    let output = bench.called("fluentd").args(["-c", &file, "--dry-run"]).run();
    assert_eq!(output.code, 0, "{}", output.stderr);
}

#[test]
fn the_seeds_config_ships_with_acknowledgements() {
    let (bench, server) = (Bench::new(), ForwardServer::start());
    let config = SEED.replace("/var/log/app", "DIR").replace("log-aggregator", "127.0.0.1");
    let config = config.replace("24224", &server.addr().port().to_string());
    let _sidecar = bench.running("fluentd", &config);
    bench.append("app.log", "{\"n\":1,\"time\":\"2026-11-21T05:13:16Z\"}\n");
    let received = server.wait_received(1).remove(0);
    assert_eq!(received.tag, "app");
    assert_eq!(received.record, serde_json::json!({"n": 1}));
    assert_eq!(received.time.0, 1_795_237_996);
    assert!(received.chunk.is_some());
    assert_eq!(format!("{:?}", received.mode), "PackedForward");
}

#[test]
fn a_pos_file_on_a_read_only_mount_is_one_warning() {
    let (bench, server) = (Bench::new(), ForwardServer::start());
    let config = SEED.replace("/var/log/app", "DIR/logs").replace("log-aggregator", "127.0.0.1");
    let config = config.replace("24224", &server.addr().port().to_string());
    fs::create_dir(bench.dir.join("logs")).unwrap();
    // For root no mode is read-only; a file where the directory would have to be is as good.
    let config = config.replace("DIR/logs/app.log.pos", "DIR/peer.conf/app.log.pos");
    let file = bench.put("peer.conf", &config);
    let sidecar = bench.called("fluentd").env("LOG_SHIPPER_STATE_FILE", "").args(["-c", &file]).spawn();
    let line = sidecar.wait_log(|line| line.message().starts_with("positions are kept in memory only"));
    assert_eq!(line.level(), "WARN");
    bench.append("logs/app.log", "{\"n\":1}\n");
    assert_eq!(server.wait_received(1)[0].record["n"], 1);
    let warnings = sidecar.logs().iter().filter(|line| line.level() == "WARN").count();
    assert_eq!(warnings, 1, "{}", sidecar.stderr());
}

#[test]
fn the_first_match_that_takes_a_tag_is_its_only_one() {
    let bench = Bench::new();
    for name in ["app.web", "app.db", "sys"] {
        bench.append(&format!("{name}.log"), format!("{name}\n"));
    }
    let none = "  <parse>\n    @type none\n  </parse>";
    let file = |name: &str| {
        format!(
            "    @type file\n    path DIR/{name}\n    add_path_suffix false\n    <format>\n      @type single_value\n    </format>\n"
        )
    };
    let config = [
        source("app.web", none),
        source("app.db", none),
        source("sys", none),
        format!("<match app.web>\n{}</match>\n", file("web.%Y")),
        format!(
            "<match app.** nothing>\n  @type copy\n  <store>\n{}  </store>\n  <store>\n{}  </store>\n</match>\n",
            file("one.%Y"),
            file("two.%Y")
        ),
        format!("<match **>\n{}</match>\n", file("rest.%Y")),
    ]
    .concat();
    let _sidecar = bench.running("fluentd", &config);
    let year = String::from_utf8(Command::new("date").args(["-u", "+%Y"]).output().unwrap().stdout).unwrap();
    for (name, wanted) in [("web", "app.web\n"), ("one", "app.db\n"), ("two", "app.db\n"), ("rest", "sys\n")] {
        bench.wait_file(&format!("{name}.{}", year.trim()), wanted);
    }
}

#[test]
fn labels_are_ways_of_their_own() {
    let bench = Bench::new();
    bench.append("a.log", "a\n");
    bench.append("b.log", "b\n");
    let none = "  <parse>\n    @type none\n  </parse>";
    let labelled = format!("  @label @A\n{none}");
    let config = [
        source("a", &labelled),
        source("b", none),
        "<label @A>\n  <filter **>\n    @type record_transformer\n    <record>\n      way \"#{ENV['WAY'] || 'x'}\"\n    \
         </record>\n  </filter>\n  <match **>\n    @type stdout\n    <format>\n      @type json\n    </format>\n  \
         </match>\n</label>\n<match **>\n  @type null\n</match>\n"
            .into(),
    ]
    .concat();
    let file = bench.put("fluent.conf", &config);
    let sidecar = bench.called("fluentd").env("WAY", "first").args(["-c", &file]).spawn();
    wait_stdout(&sidecar, "{\"way\":\"first\",\"message\":\"a\"}\n");
}

#[test]
fn lines_are_taken_apart_as_parse_says() {
    let bench = Bench::new();
    bench.append("r.log", "INFO 12 hello\nnothing\n");
    let parse = "  <parse>\n    @type regexp\n    expression /^(?<level>\\w+) (?<n>\\d+) (?<text>.*)$/\n    \
                 types n:integer\n  </parse>";
    let sidecar = bench.running("fluentd", &(source("r", parse) + TO_STDOUT));
    wait_stdout(&sidecar, "{\"level\":\"INFO\",\"n\":12,\"text\":\"hello\"}\n{\"unmatched_line\":\"nothing\"}\n");
}

#[test]
fn records_of_several_lines_are_put_together() {
    let bench = Bench::new();
    bench.append("m.log", "2026 first\n  more\n2027 second\n");
    let parse = "  multiline_flush_interval 0.3\n  <parse>\n    @type multiline\n    format_firstline /^\\d{4}/\n    \
                 format1 /^(?<year>\\d{4}) /\n    format2 /(?<text>.*)/\n  </parse>";
    let sidecar = bench.running("fluentd", &(source("m", parse) + TO_STDOUT));
    wait_stdout(&sidecar, "{\"year\":\"2026\",\"text\":\"first\\n  more\"}\n{\"year\":\"2027\",\"text\":\"second\"}\n");
}

#[test]
fn elasticsearch_gets_documents_with_ids() {
    let (bench, server) = (Bench::new(), HookServer::start());
    server.answer([Reply::Status(200, r#"{"errors":false,"items":[]}"#.into())]);
    let config = source("e", "  <parse>\n    @type json\n    time_key ts\n    time_type unixtime\n  </parse>")
        + &format!(
            "<match e>\n  @type elasticsearch\n  host 127.0.0.1\n  port {}\n  logstash_format true\n  \
             logstash_prefix shop\n  include_tag_key true\n  <buffer>\n    flush_interval 1s\n  </buffer>\n</match>\n",
            server.addr().port()
        );
    bench.append("e.log", "{\"ts\":0,\"n\":1}\n");
    let _sidecar = bench.running("fluentd", &config);
    let request = server.wait_requests(1).remove(0);
    let lines: Vec<serde_json::Value> = request.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["index"]["_index"], "shop-1970.01.01");
    assert!(lines[0]["index"]["_id"].is_string());
    assert_eq!(lines[1], serde_json::json!({"@timestamp": "1970-01-01T00:00:00.000Z", "tag": "e", "n": 1}));
}

#[test]
fn includes_are_read_where_they_stand() {
    let bench = Bench::new();
    bench.append("i.log", "x\n");
    bench.put("conf.d/out.conf", TO_STDOUT);
    let config = source("i", "  <parse>\n    @type none\n  </parse>") + "@include conf.d/*.conf\n";
    wait_stdout(&bench.running("fluentd", &config), "{\"message\":\"x\"}\n");
}

#[test]
fn every_mistake_is_said_with_its_line() {
    let bench = Bench::new();
    let config = "<source>\n  @type tail\n  path /a\n  tag a\n  rotat_wait 5\n  <parse>\n    @type csv\n  </parse>\n</source>\n\
                  <source>\n  @type forward\n</source>\n<filter **>\n  @type grep\n</filter>\n\
                  <match a>\n  @type s3\n</match>\n<match **>\n  @type forward\n  <server>\n    port x\n  </server>\n  \
                  <secondary>\n    @type file\n  </secondary>\n</match>\n<worker 0>\n</worker>\n";
    let file = bench.put("fluent.conf", config);
    let output = bench.called("fluentd").args(["-c", &file, "--dry-run"]).run();
    assert_eq!(output.code, 78, "{}", output.stderr);
    let prefix = format!("fluentd: {file}:");
    let said: Vec<_> = output.stderr.lines().map(|line| line.strip_prefix(&prefix).unwrap_or(line)).collect();
    let wanted = [
        "5: <source> rotat_wait: not known here, did you mean rotate_wait?",
        "7: <parse> @type \"csv\": expected none, json, regexp, nginx, apache2, ltsv, logfmt, syslog, multiline or cri",
        "11: <source> @type \"forward\": expected tail: only files are followed here",
        "13: <filter **>: only record_transformer with fields that are the same for all records is here yet",
        "17: <match a> @type \"s3\": expected forward, elasticsearch, opensearch, loki, http, stdout, file, copy or null",
        "19: <match **>: expected <server> in it",
        "21: <server> port \"x\": expected a number 1-65535",
        "21: <server>: host: required",
        "24: <secondary>: nothing is given up, so there is nothing for it: expected no <secondary>",
        "28: <worker 0>: not known here, expected <source>, <match>, <filter>, <label>, <system> or @include",
    ];
    // The place of a parameter is its own line.
    let wanted: Vec<_> = wanted.iter().map(|line| line.replace("21: <server> port", "22: <server> port")).collect();
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(said.iter().map(ToString::to_string).collect()), sorted(wanted));
}

#[test]
fn http_gets_a_json_object_in_each_line() {
    let (bench, server) = (Bench::new(), HookServer::start());
    let config = source("h", "  <parse>\n    @type none\n  </parse>")
        + &format!(
            "<match h>\n  @type http\n  endpoint {}\n  headers {{\"X-A\":\"b\"}}\n  <auth>\n    method basic\n    \
             username me\n    password secret\n  </auth>\n</match>\n",
            server.url("/logs")
        );
    bench.append("h.log", "1\n2\n");
    let _sidecar = bench.running("fluentd", &config);
    let request = server.wait_requests(1).remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/logs"));
    assert_eq!(request.header("x-a"), Some("b"));
    assert_eq!(request.header("authorization"), Some("Basic bWU6c2VjcmV0"));
    assert_eq!(request.body, "{\"message\":\"1\"}\n{\"message\":\"2\"}\n");
}
