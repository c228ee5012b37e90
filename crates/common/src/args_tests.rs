//! Reading flags: every mistake at once, each with what was expected.

use clap::CommandFactory;

use super::*;

#[derive(clap::Parser, Debug)]
#[command(name = "tested")]
struct Tested {
    #[arg(long)]
    settle: Option<Span>,
    #[arg(long)]
    watch: Vec<String>,
    #[command(flatten)]
    common: CommonArgs,
}

const DEFAULTS: Defaults = Defaults { admin_port: 9533, drain_delay: std::time::Duration::ZERO };

fn read(line: &str) -> Result<Tested, Vec<String>> {
    let argv: Vec<OsString> = std::iter::once("tested").chain(line.split_whitespace()).map(OsString::from).collect();
    typed(&argv, DEFAULTS).map_err(|usage| match usage {
        Usage::Asked(text) => vec![text],
        Usage::Wrong(problems) => problems,
    })
}

#[test]
fn every_mistake_is_said_at_once() {
    let problems = read("--setle 5s --settle 5 --log-level=loud --watch /a --zebra=1 --admin-addr x").unwrap_err();
    assert_eq!(
        problems,
        [
            "--setle: unknown flag, did you mean --settle?",
            "--settle \"5\": missing unit, did you mean \"5s\"? (expected a duration such as 500ms, 30s or 1h30m)",
            "--log-level \"loud\": expected error, warn, info, debug, trace or off",
            "--zebra: unknown flag, see --help",
            "--admin-addr \"x\": expected an address such as :9125, 127.0.0.1:8080, [::1]:80 or unix:/run/app.sock, \
             with a port from 0 to 65535, or off",
        ]
    );
}

#[test]
fn what_is_right_is_read() {
    let tested = read("--settle=250ms --watch /a --watch /b --admin-addr :0 --probe-addr off").unwrap();
    assert_eq!(tested.settle, Some(Span::from_millis(250)));
    assert_eq!(tested.watch, ["/a", "/b"]);
    assert_eq!(tested.common.probe_addr, Some(Listen::Off));
}

#[test]
fn help_names_every_default() {
    let help = read("--help").unwrap_err().concat();
    for default in ["[default: :9533]", "[default: info]", "[default: 25s]", "[default: 0s]"] {
        assert!(help.contains(default), "{default} is missing in\n{help}");
    }
    Tested::command().debug_assert();
}

#[test]
fn a_value_that_is_missing_or_stray_is_named() {
    assert_eq!(read("--settle").unwrap_err(), ["--settle: expected a value"]);
    assert_eq!(read("stray").unwrap_err(), ["stray: unexpected argument, see --help"]);
    assert_eq!(read("stray\u{7}").unwrap_err(), ["stray\\u{7}: unexpected argument, see --help"]);
}
