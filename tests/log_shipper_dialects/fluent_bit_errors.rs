//! What is wrong with a configuration is said with its place, all of it at once.

use crate::Bench;

#[track_caller]
fn problems(config: &str) -> Vec<String> {
    let bench = Bench::new();
    let file = bench.put("fluent-bit.conf", config);
    let output = bench.called("fluent-bit").args(["-c", &file, "--dry-run"]).run();
    assert_eq!(output.code, 78, "{}", output.stderr);
    let prefix = format!("fluent-bit: {file}:");
    output.stderr.lines().map(|line| line.strip_prefix(&prefix).unwrap_or(line).to_owned()).collect()
}

#[test]
fn every_mistake_is_said_with_its_line() {
    let config = "[SERVICE]\n    Flush soon\n    Plugins_File plugins.conf\n\
                  [INPUT]\n    Name tail\n    Path DIR/a.log\n    Parser nope\n    Skip_Long_Line On\n    Offset_Key at\n\
                  [INPUT]\n    Name cpu\n    Tag cpu\n\
                  [OUTPUT]\n    Name es\n    Match *\n    Port 92OO\n    AWS_Auth On\n    Replace_Dots On\n    Id_Key id\n\
                  [OUTPUT]\n    Name stdout\n\
                  [FILTER]\n    Name lua\n    Match *\n    script a.lua\n\
                  [OUTPUT]\n    Name kafka\n    Match *\n";
    let said = problems(config);
    let wanted = [
        "2: [SERVICE] Flush \"soon\": expected a time such as 5, 0.5, 30s, 5m, 2h or 1d",
        "3: [SERVICE] Plugins_File: outputs of others cannot be loaded",
        "7: [INPUT] Parser \"nope\": no such parser, expected one of apache, apache2, apache_error, cri, docker, \
         docker-daemon, envoy, istio-envoy-proxy, json, k8s-nginx-ingress, kmsg-netfilter-log, kube-custom, logfmt, \
         mongodb, nginx, syslog-rfc3164, syslog-rfc3164-local, syslog-rfc5424",
        "8: [INPUT] Skip_Long_Line: not known here, did you mean skip_long_lines?",
        "9: [INPUT] Offset_Key: the offset cannot be put into records: expected no Offset_Key",
        "11: [INPUT] Name \"cpu\": expected tail: only files are followed here",
        "16: [OUTPUT] Port \"92OO\": expected a number 1-65535",
        "17: [OUTPUT] AWS_Auth: requests are not signed for AWS",
        "18: [OUTPUT] Replace_Dots: names of fields stay as they are",
        "19: [OUTPUT] Id_Key: ids are made of the file and the offset: expected no Id_Key",
        "20: [OUTPUT]: Match: required, * for everything",
        "23: [FILTER] Name \"lua\": records are not filtered here yet, except for fields that are added",
        "27: [OUTPUT] Name \"kafka\": expected es, opensearch, loki, http, forward, file, stdout or null",
    ];
    assert_eq!(said, wanted);
}

#[test]
fn an_expression_that_cannot_be_is_refused_with_the_reason() {
    let said = problems(
        "[PARSER]\n    Name a\n    Format regex\n    Regex ^(?<a>x)(?=y)\n[PARSER]\n    Name b\n    Format regex\n    \
         Regex ^(?<b>x)\\k<b>\n[INPUT]\n    Name tail\n    Path /a\n[OUTPUT]\n    Name null\n    Match *\n",
    );
    assert_eq!(
        said,
        [
            "4: [PARSER] Regex: `^(?<a>x)(?=y)`: look-ahead (`(?=` and `(?!`) is not supported",
            "8: [PARSER] Regex: `^(?<b>x)\\k<b>`: back-references (`\\k<name>`) are not supported",
        ]
    );
}

#[test]
fn a_file_that_is_named_inside_and_is_not_there_is_said_where_it_is_named() {
    let said = problems(
        "@INCLUDE /nowhere/a.conf\n[SERVICE]\n    Parsers_File /nowhere/b.conf\n[INPUT]\n    Name tail\n    Path /a\n\
         [OUTPUT]\n    Name null\n    Match *\n",
    );
    let wanted = ["1: /nowhere/a.conf: no such file or directory", "3: /nowhere/b.conf: no such file or directory"];
    assert_eq!(said, wanted);
}

#[test]
fn an_output_that_goes_nowhere_is_said() {
    let said = problems("[INPUT]\n    Name tail\n    Path /a\n");
    assert_eq!(said, ["fluent-bit: fluent-bit: there is no [OUTPUT]: expected one at least"]);
}

#[test]
fn a_secret_is_in_no_message() {
    let said = problems(
        "[INPUT]\n    Name tail\n    Path /a\n[OUTPUT]\n    Name es\n    Match *\n    HTTP_User me\n    \
         HTTP_Passwd hunter2\n    Port x\n",
    );
    assert!(!said.concat().contains("hunter2"), "{said:?}");
}

#[test]
fn what_has_no_effect_is_said_once() {
    let bench = Bench::new();
    let sidecar = bench.running(
        "fluent-bit",
        "[SERVICE]\n    Storage.path /x\n[INPUT]\n    Name tail\n    Path DIR/a.log\n    Mem_Buf_Limit 5MB\n    \
         Refresh_Interval 10\n[OUTPUT]\n    Name null\n    Match *\n    Workers 2\n",
    );
    let line = sidecar.wait_log(|line| line.message().starts_with("accepted, and without effect"));
    assert_eq!(
        line.field("keys"),
        "[INPUT] Mem_Buf_Limit, [INPUT] Refresh_Interval, [OUTPUT] Workers, [SERVICE] Storage.path"
    );
    assert_eq!(line.level(), "INFO");
}
