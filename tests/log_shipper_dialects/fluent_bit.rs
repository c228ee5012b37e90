//! Fluent Bit's configurations, and what comes out at the other end.

use std::{fs, thread, time::Duration};

use test_kit::{HookServer, Reply, Request, Sidecar, Signal, forward::ForwardServer, loki::LokiServer};

use crate::{Bench, wait_stdout};

const SEED: &str = include_str!("../fixtures/log-shipper/fluent-bit/seed.conf");

/// Takes everything, as Elasticsearch 7 does.
fn elasticsearch() -> HookServer {
    let server = HookServer::start();
    server.answer([taken()]);
    server
}

fn taken() -> Reply {
    Reply::Status(200, r#"{"errors":false,"items":[]}"#.into())
}

fn path(request: &Request) -> &str {
    request.path.split('?').next().unwrap()
}

fn actions(request: &Request) -> Vec<serde_json::Value> {
    request.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_seeds_config_is_good_as_it_is() {
    let bench = Bench::new();
    let file = bench.put("fluent-bit.conf", SEED);
    let output = bench.called("fluent-bit").args(["-c", &file, "--dry-run"]).run();
    assert_eq!(output.code, 0, "{}", output.stderr);
}

#[test]
fn the_seeds_config_ships_in_the_form_of_the_peer() {
    let (bench, server) = (Bench::new(), elasticsearch());
    let config = SEED.replace("/var/log/nginx", "DIR").replace("elasticsearch.logging.svc", "127.0.0.1");
    let config = config.replace("9200", &server.addr().port().to_string());
    let sidecar = bench.running("fluent-bit", &config);
    bench.append("access.log", "GET / \"é\"\n");
    let request = &server.wait_requests(1)[0];
    assert_eq!((request.method.as_str(), path(request)), ("POST", "/_bulk"));
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
    let lines = actions(request);
    assert_eq!(lines[0]["create"]["_index"], "nginx-logs");
    assert_eq!(lines[0]["create"]["_type"], "_doc");
    assert!(lines[0]["create"]["_id"].is_string());
    assert_eq!(lines[1]["log"], "GET / \"é\"");
    let time = lines[1]["@timestamp"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.len() == "2026-11-21T05:13:16.154Z".len(), "{time}");
    assert_eq!(lines[1].as_object().unwrap().len(), 2);
    let (_, files) = sidecar.admin_get("/files");
    let tag = format!("nginx.{}", bench.path("access.log").trim_start_matches('/').replace('/', "."));
    assert!(files.contains(&tag), "{files}");
}

#[test]
fn lines_are_not_lost_while_the_server_is_away() {
    let (bench, server) = (Bench::new(), elasticsearch());
    server.answer([Reply::Status(503, String::new()), taken()]);
    let config = format!(
        "[SERVICE]\n Scheduler.Base 0.05\n Scheduler.Cap 0.1\n[INPUT]\n Name tail\n Path DIR/a.log\n Read_from_Head On\n\
         [OUTPUT]\n Name es\n Match *\n Host 127.0.0.1\n Port {}\n",
        server.addr().port()
    );
    bench.append("a.log", "1\n");
    let sidecar = bench.running("fluent-bit", &config);
    assert_eq!(actions(&server.wait_requests(2)[1])[1]["log"], "1");
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
}

#[test]
fn what_is_said_about_documents_is_in_the_requests() {
    let (bench, server) = (Bench::new(), elasticsearch());
    let config = format!(
        "[PARSER]\n Name mine\n Format json\n Time_Key ts\n Time_Format %s\n\
         [INPUT]\n Name tail\n Path DIR/a.log\n Read_from_Head On\n Parser mine\n Tag app\n Path_Key file\n\
         [FILTER]\n Name record_modifier\n Match app\n Record host web-1\n\
         [OUTPUT]\n Name opensearch\n Match app\n Host 127.0.0.1\n Port {}\n Logstash_Format On\n\
         Logstash_Prefix other\n Logstash_Prefix_Key $service\n Logstash_DateFormat %Y.%m\n Include_Tag_Key On\n\
         Suppress_Type_Name On\n Pipeline clean\n Path /es\n HTTP_User me\n HTTP_Passwd secret\n Compress gzip\n\
         Write_Operation index\n Time_Key when\n",
        server.addr().port()
    );
    bench.append("a.log", "{\"ts\":0,\"service\":\"shop\",\"n\":1}\n{\"ts\":0,\"n\":2}\n");
    let _sidecar = bench.running("fluent-bit", &config);
    let request = &server.wait_requests(1)[0];
    assert_eq!(path(request), "/es/_bulk");
    assert!(request.path.contains("pipeline=clean"), "{}", request.path);
    assert_eq!(request.header("authorization"), Some("Basic bWU6c2VjcmV0"));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(request.bytes.as_slice()), &mut text).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["index"]["_index"], "shop-1970.01");
    assert!(lines[0]["index"]["_type"].is_null());
    let wanted = serde_json::json!({
        "when": "1970-01-01T00:00:00.000Z", "host": "web-1", "file": bench.path("a.log"), "flb-key": "app",
        "service": "shop", "n": 1,
    });
    assert_eq!(lines[1], wanted);
    assert_eq!(lines[2]["index"]["_index"], "other-1970.01");
}

#[test]
fn standard_output_looks_as_theirs() {
    let bench = Bench::new();
    bench.append("a.log", "{\"time\":\"1\",\"a\":{\"b\":[1,null]},\"c\":\"é\"}\nno json\n");
    let config = "[SERVICE]\n Parsers_File more/parsers.conf\n[INPUT]\n Name tail\n Path DIR/a.log\n\
                  Read_from_Head On\n Parser mine\n Tag x.*\n[OUTPUT]\n Name stdout\n Match x.*\n";
    bench.put("more/parsers.conf", "[PARSER]\n Name mine\n Format json\n Time_Format %s\n");
    let sidecar = bench.running("fluent-bit", config);
    let tag = format!("x.{}", bench.path("a.log").trim_start_matches('/').replace('/', "."));
    let first =
        format!("[0] {tag}: [[1.000000000, {{}}], {{\"a\"=>{{\"b\"=>[1, nil]}}, \"c\"=>\"é\"}}]\n[1] {tag}: [[");
    let arrived = test_kit::eventually(crate::PATIENCE, || sidecar.stdout().ends_with("{\"log\"=>\"no json\"}]\n"));
    assert!(arrived && sidecar.stdout().starts_with(&first), "{}", sidecar.stdout());
}

#[test]
fn stock_parsers_are_there_without_their_file() {
    let bench = Bench::new();
    let access = "1.2.3.4 - bob [21/Nov/2026:05:13:16 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl\"\n";
    bench.append("nginx.log", access);
    bench.append("cri.log", "2026-11-21T05:13:16.154218303Z stdout F hello\n");
    bench.append("pod.log", "2026-11-21T05:13:16.5Z stderr P one \n2026-11-21T05:13:16.5Z stderr F line\n");
    let input = |name: &str, how: &str| {
        format!("[INPUT]\n Name tail\n Path DIR/{name}.log\n Tag {name}\n Read_from_Head On\n {how}\n")
    };
    let output = |name: &str| format!("[OUTPUT]\n Name file\n Match {name}\n Path DIR\n File {name}.out\n");
    // Their own config names the file that their image has.
    let config = ["[SERVICE]\n Parsers_File parsers.conf\n".into()]
        .into_iter()
        .chain([
            input("nginx", "Parser nginx"),
            input("cri", "Parser cri"),
            input("pod", "multiline.parser docker, cri"),
        ])
        .chain(["nginx", "cri", "pod"].map(output))
        .collect::<String>();
    let _sidecar = bench.running("fluent-bit", &config);
    bench.wait_file(
        "nginx.out",
        "nginx: [1795237996.000000000, {\"remote\":\"1.2.3.4\",\"host\":\"-\",\"user\":\"bob\",\"method\":\"GET\",\
         \"path\":\"/a\",\"code\":\"200\",\"size\":\"12\",\"referer\":\"-\",\"agent\":\"curl\"}]\n",
    );
    bench.wait_file(
        "cri.out",
        "cri: [1795237996.154218303, {\"time\":\"2026-11-21T05:13:16.154218303Z\",\"stream\":\"stdout\",\
         \"logtag\":\"F\",\"message\":\"hello\"}]\n",
    );
    bench.wait_file("pod.out", "pod: [1795237996.500000000, {\"stream\":\"stderr\",\"log\":\"one line\"}]\n");
}

#[test]
fn records_of_several_lines_are_put_together() {
    let bench = Bench::new();
    bench.append("old.log", "2026 first\n  more\n2027 second\n");
    bench.append("new.log", "2026 first\n  more\n2027 second\n");
    let config = "[MULTILINE_PARSER]\n Name year\n Type regex\n Flush_Timeout 500\n \
                  Rule \"start_state\" \"/^\\d{4} /\" \"cont\"\n Rule \"cont\" \"/^\\s+/\" \"cont\"\n\
                  [PARSER]\n Name first\n Format regex\n Regex ^(?<year>\\d{4}) (?<text>.*)\n\
                  [INPUT]\n Name tail\n Path DIR/old.log\n Tag old\n Read_from_Head On\n Multiline On\n \
                  Parser_Firstline first\n Multiline_Flush 1\n\
                  [INPUT]\n Name tail\n Path DIR/new.log\n Tag new\n Read_from_Head On\n multiline.parser year\n\
                  [OUTPUT]\n Name file\n Match old\n Path DIR\n File old.out\n Format plain\n\
                  [OUTPUT]\n Name file\n Match new\n Path DIR\n File new.out\n Format plain\n";
    let _sidecar = bench.running("fluent-bit", config);
    bench.wait_file(
        "old.out",
        "{\"year\":\"2026\",\"text\":\"first\\n  more\"}\n{\"year\":\"2027\",\"text\":\"second\"}\n",
    );
    bench.wait_file("new.out", "{\"log\":\"2026 first\\n  more\"}\n{\"log\":\"2027 second\"}\n");
}

#[test]
fn files_that_were_there_begin_at_their_end_and_later_ones_at_their_beginning() {
    let bench = Bench::new();
    fs::create_dir_all(bench.dir.join("logs")).unwrap();
    bench.append("logs/a.log", "before\n");
    // When a file was made cannot be set: only time makes it older than the process.
    thread::sleep(Duration::from_millis(100));
    let config = "[INPUT]\n Name tail\n Path DIR/logs/*.log\n Read_from_Head Off\n Exclude_Path DIR/logs/no*.log\n\
                  [OUTPUT]\n Name stdout\n Match *\n Format json_lines\n Json_Date_Key false\n[OUTPUT]\n Name null\n Match *\n";
    let sidecar = bench.running("fluent-bit", config);
    bench.append("logs/a.log", "after\n");
    wait_stdout(&sidecar, "{\"log\":\"after\"}\n");
    bench.append("logs/no.log", "not this\n");
    bench.append("logs/b.log", "new\n");
    wait_stdout(&sidecar, "{\"log\":\"after\"}\n{\"log\":\"new\"}\n");
}

#[test]
fn a_file_that_is_younger_than_the_process_begins_at_its_beginning() {
    let bench = Bench::new();
    let config = "[INPUT]\n Name tail\n Path DIR/*.log\n[OUTPUT]\n Name stdout\n Match *\n Format json_lines\n \
                  Json_Date_Key false\n";
    let file = bench.put("fluent-bit.conf", config);
    let sidecar = bench.called("fluent-bit").args(["-c", &file]).spawn();
    // It may be there before anybody looks for the first time.
    bench.append("a.log", "first\n");
    wait_stdout(&sidecar, "{\"log\":\"first\"}\n");
}

#[test]
fn positions_are_beside_the_database() {
    let bench = Bench::new();
    bench.append("a.log", "1\n");
    let config = "[INPUT]\n Name tail\n Path DIR/a.log\n Read_from_Head On\n DB DIR/flb.db\n Exit_On_Eof On\n\
                  [OUTPUT]\n Name stdout\n Match *\n Format json_lines\n Json_Date_Key false\n";
    let file = bench.put("fluent-bit.conf", config);
    bench.put("flb.db", "SQLite format 3\0");
    let run = || bench.called("fluent-bit").env("LOG_SHIPPER_STATE_FILE", "").args(["-c", &file]).run();
    assert_eq!(run().stdout, "{\"log\":\"1\"}\n");
    bench.append("a.log", "2\n");
    assert_eq!(run().stdout, "{\"log\":\"2\"}\n");
    assert!(bench.dir.join("flb.db.positions").exists());
    assert_eq!(fs::read(bench.dir.join("flb.db")).unwrap(), b"SQLite format 3\0");
}

#[test]
fn loki_gets_the_form_of_the_peer() {
    let (bench, server) = (Bench::new(), LokiServer::start());
    let config = format!(
        "[PARSER]\n Name kv\n Format logfmt\n[INPUT]\n Name tail\n Path DIR/a.log\n Read_from_Head On\n Parser kv\n\
         [OUTPUT]\n Name loki\n Match *\n Host 127.0.0.1\n Port {}\n Labels job=app, $level, kind=$what\n Tenant_ID me\n",
        server.addr().port()
    );
    bench.append("a.log", "level=info what=x msg=hello\n");
    let _sidecar = bench.running("fluent-bit", &config);
    let entry = server.wait_entries(1).remove(0);
    let labels: Vec<_> = entry.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(labels, ["job=app", "kind=x", "level=info"]);
    assert_eq!(entry.line, r#"{"level":"info","what":"x","msg":"hello"}"#);
    let push = server.pushes().remove(0);
    assert_eq!((push.tenant.as_deref(), push.content_type.as_str()), (Some("me"), "application/json"));
}

#[test]
fn forward_asks_for_acknowledgements() {
    let (bench, server) = (Bench::new(), ForwardServer::start());
    let upstream =
        format!("[UPSTREAM]\n name all\n[NODE]\n name one\n host 127.0.0.1\n port {}\n", server.addr().port());
    bench.put("upstream.conf", &upstream);
    let config = "[INPUT]\n Name tail\n Path DIR/a.log\n Read_from_Head On\n Tag app\n\
                  [OUTPUT]\n Name forward\n Match *\n Upstream DIR/upstream.conf\n";
    bench.append("a.log", "hello\n");
    let _sidecar = bench.running("fluent-bit", config);
    let received = server.wait_received(1).remove(0);
    assert_eq!((received.tag.as_str(), received.record["log"].as_str()), ("app", Some("hello")));
    assert!(received.chunk.is_some());
    assert_eq!(format!("{:?}", received.mode), "Forward");
}

#[test]
fn yaml_means_the_same() {
    let bench = Bench::new();
    bench.append("a.log", "{\"n\":1}\n");
    bench.put("more.yaml", "parsers:\n  - name: mine\n    format: json\n");
    let file = bench.put(
        "fluent-bit.yaml",
        "env:\n  where: DIR\nservice:\n  flush: 1\n  log_level: info\nincludes:\n  - more.yaml\npipeline:\n  inputs:\n    \
         - name: tail\n      path: ${where}/a.log\n      read_from_head: true\n      parser: mine\n  outputs:\n    \
         - name: stdout\n      match: '*'\n      format: json_lines\n      json_date_key: false\n",
    );
    let sidecar = bench.called("fluent-bit").args(["-c", &file]).spawn();
    wait_stdout(&sidecar, "{\"n\":1}\n");
}

#[test]
fn includes_variables_and_environment_are_put_in() {
    let bench = Bench::new();
    bench.append("a.log", "x\n");
    bench.put(
        "conf.d/1.conf",
        "[OUTPUT]\n    Name stdout\n    Match ${tag}\n    Format json_lines\n    json_date_key false\n",
    );
    let config = "@SET tag=app\n[SERVICE]\n    Flush 1\n@INCLUDE conf.d/*.conf\n[INPUT]\n    Name tail\n\
                  \tPath\t${LOGS}/a.log\n    Tag ${tag}\n    Read_from_Head true\n";
    let file = bench.put("fluent-bit.conf", config);
    let sidecar = bench.called("fluent-bit").env("LOGS", bench.path("")).args(["-c", &file]).spawn();
    wait_stdout(&sidecar, "{\"log\":\"x\"}\n");
}

#[test]
fn their_monitoring_answers_under_its_paths() {
    let bench = Bench::new();
    let config = "[SERVICE]\n HTTP_Server On\n HTTP_Listen 127.0.0.1\n HTTP_Port 0\n[INPUT]\n Name tail\n Path DIR/a.log\n\
                  Read_from_Head On\n[OUTPUT]\n Name stdout\n Match *\n";
    let file = bench.put("fluent-bit.conf", config);
    bench.append("a.log", "x\n");
    let sidecar = Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).own_admin().args(["fluent-bit", "-c", &file]);
    let sidecar = sidecar.env("LOG_SHIPPER_STATE_FILE", bench.path("positions")).spawn();
    let records = |text: String| text.contains("fluentbit_output_proc_records_total{name=\"stdout.0\"} 1");
    let counted = test_kit::eventually(crate::PATIENCE, || records(sidecar.admin_get("/api/v1/metrics/prometheus").1));
    assert!(counted, "{}", sidecar.admin_get("/api/v1/metrics/prometheus").1);
    assert_eq!(sidecar.admin_get("/api/v1/health"), (200, "ok\n".into()));
    let uptime: serde_json::Value = serde_json::from_str(&sidecar.admin_get("/api/v1/uptime").1).unwrap();
    assert!(uptime["uptime_sec"].is_u64(), "{uptime}");
    let metrics: serde_json::Value = serde_json::from_str(&sidecar.admin_get("/api/v1/metrics").1).unwrap();
    assert_eq!(metrics["output"]["stdout.0"]["proc_records"], 1);
}

#[test]
fn a_reload_takes_up_what_was_changed() {
    let bench = Bench::new();
    let config = |format: &str| {
        format!(
            "[INPUT]\n Name tail\n Path DIR/a.log\n Read_from_Head On\n[OUTPUT]\n Name stdout\n Match *\n {format}\n"
        )
    };
    let sidecar = bench.running("fluent-bit", &config("Format json_lines\n Json_Date_Key false"));
    bench.append("a.log", "1\n");
    wait_stdout(&sidecar, "{\"log\":\"1\"}\n");
    bench.put("peer.conf", &config("Format json\n Json_Date_Key false"));
    assert_eq!(sidecar.admin_post("/-/reload").0, 200);
    bench.append("a.log", "2\n");
    wait_stdout(&sidecar, "{\"log\":\"1\"}\n[{\"log\":\"2\"}]\n");
}

#[test]
fn http_gets_an_array_with_dates() {
    let (bench, server) = (Bench::new(), HookServer::start());
    let config = format!(
        "[PARSER]\n Name mine\n Format json\n Time_Key ts\n Time_Format %s\n[INPUT]\n Name tail\n Path DIR/a.log\n \
         Read_from_Head On\n Parser mine\n[OUTPUT]\n Name http\n Match *\n Host 127.0.0.1\n Port {}\n URI /logs\n \
         Header X-A b c\n",
        server.addr().port()
    );
    bench.append("a.log", "{\"ts\":1,\"n\":1}\n{\"ts\":2,\"n\":2}\n");
    let _sidecar = bench.running("fluent-bit", &config);
    let request = server.wait_requests(1).remove(0);
    assert_eq!((request.path.as_str(), request.header("x-a")), ("/logs", Some("b c")));
    let wanted = serde_json::json!([{"date": 1.0, "n": 1}, {"date": 2.0, "n": 2}]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&request.body).unwrap(), wanted);
}
